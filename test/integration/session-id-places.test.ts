import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import type { ConfigInput } from '../../config/schema.ts';
import { type AdoptRequest, AGENT_API, type CommitRequest } from '../../protocol/agent-api.ts';
import { eventually } from '../services/eventually.ts';
import { recordOf, SmallSite } from '../services/small-site.ts';

type Rule = NonNullable<ConfigInput['pools']>[string]['session'];

/** How a client of some application shows its session ID. */
interface Place {
  readonly what: string;
  readonly rule: Rule;
  readonly show: (id: string) => { path?: string; headers?: Record<string, string> };
}

const PLACES: readonly Place[] = [
  { what: 'a cookie', rule: { cookie: 'sid' }, show: (id) => ({ headers: { cookie: `a=1; sid=${id}` } }) },
  {
    what: 'a signed cookie of express-session',
    rule: { cookie: 'connect.sid', format: 'express' },
    show: (id) => ({ headers: { cookie: `connect.sid=s%3A${id}.${randomBytes(8).toString('hex')}` } }),
  },
  {
    what: 'a JSESSIONID with a route',
    rule: { cookie: 'JSESSIONID', format: 'tomcat' },
    show: (id) => ({ headers: { cookie: `JSESSIONID=${id}.node${Math.ceil(Math.random() * 9)}` } }),
  },
  { what: 'a header', rule: { header: 'X-Session' }, show: (id) => ({ headers: { 'x-session': id } }) },
  { what: 'a query parameter', rule: { query: 'sid' }, show: (id) => ({ path: `/cart?page=2&sid=${id}` }) },
  {
    what: 'a path parameter',
    rule: { pathParameter: 'jsessionid' },
    show: (id) => ({ path: `/shop/cart;jsessionid=${id}/items?page=2` }),
  },
  {
    what: 'a path parameter with a route',
    rule: { cookie: 'JSESSIONID', pathParameter: 'jsessionid', format: 'tomcat' },
    show: (id) => ({ path: `/cart;jsessionid=${id}.node1` }),
  },
];

async function startSite(t: TestContext, session: Rule): Promise<SmallSite> {
  const site = await SmallSite.start({ pool: { session, health: { interval: '50ms', rise: 1 } } });
  t.after(() => site.stop());
  site.serve((app) => (_request, response) => response.end(app.id));
  return site;
}

describe('a session ID in', () => {
  for (const { what, rule, show } of PLACES) {
    const visit = (site: SmallSite, id: string, method = 'GET') => {
      const { path = '/', headers = {} } = show(id);
      return fetch(site.url + path, { method, headers });
    };

    test(`${what} keeps a client without any other cookie on its server, and moves with it`, async (t) => {
      const site = await startSite(t, rule);
      const id = randomBytes(12).toString('hex');
      // Without a record, sessions stay where they were first seen.
      const first = await (await visit(site, id)).text();
      for (let i = 0; i < 8; i++) assert.equal(await (await visit(site, id)).text(), first);

      const [owner, target] = first === 'app-1' ? site.apps : [site.apps[1], site.apps[0]];
      site.lookup = () => recordOf(owner.id, 4);
      target.agent.replies[AGENT_API.adopt] = () => {
        site.lookup = () => recordOf(target.id, 5);
        return { body: { outcome: 'found', epoch: 5, seq: 1, ageMs: 1, size: 1 } };
      };
      owner.agent.readiness = { ...owner.agent.readiness, ready: false, reason: 'the test says so' };
      await eventually('the session has moved', async () => {
        return (await (await visit(site, id)).text()) === target.id;
      });
      const adopts = target.agent.calls.filter(({ path }) => path === AGENT_API.adopt);
      assert.deepEqual(
        adopts.map(({ body }) => [(body as AdoptRequest).sessionId, (body as AdoptRequest).ifEpoch]),
        [[id, 4]],
        'moved once, under the ID as the application knows it',
      );
    });

    test(`${what} is the one whose commit a write waits for`, async (t) => {
      const site = await startSite(t, rule);
      const id = randomBytes(12).toString('hex');
      assert.equal((await visit(site, id, 'POST')).status, 200);
      const commits = site.apps.flatMap(({ agent }) =>
        agent.calls.filter(({ path }) => path === AGENT_API.commit),
      );
      assert.deepEqual(
        commits.map(({ body }) => (body as CommitRequest).sessionIds),
        [[id]],
      );
    });
  }

  test('a header of the answer binds the client that sends it back', async (t) => {
    const site = await startSite(t, { header: 'X-Session' });
    site.serve((app) => (_request, response) => response.setHeader('X-Session', `of-${app.id}`).end(app.id));
    const first = await fetch(site.url, { method: 'POST' });
    const server = await first.text();
    for (let i = 0; i < 8; i++) {
      const again = await fetch(site.url, { headers: { 'x-session': `of-${server}` } });
      assert.equal(await again.text(), server);
    }
  });

  test('several places is that of the cookie: a link that somebody else made does not change the session', async (t) => {
    const site = await startSite(t, { cookie: 'JSESSIONID', pathParameter: 'jsessionid', format: 'tomcat' });
    await fetch(`${site.url}/cart;jsessionid=of-the-link`, {
      method: 'POST',
      headers: { cookie: 'JSESSIONID=mine.n1' },
    });
    const commits = site.apps.flatMap(({ agent }) =>
      agent.calls.filter(({ path }) => path === AGENT_API.commit),
    );
    assert.deepEqual(
      commits.map(({ body }) => (body as CommitRequest).sessionIds),
      [['mine']],
    );
  });
});
