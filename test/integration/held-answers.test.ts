import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GatewayAdmin } from '../../demo/gateway-admin.ts';
import { AGENT_API, type CommitRequest, type SessionCommit } from '../../protocol/agent-api.ts';
import { eventually } from '../services/eventually.ts';
import { countersOf } from '../services/gateway-status.ts';
import { recordOf, type SmallApp, SmallSite } from '../services/small-site.ts';

const COMMITTED = { outcome: 'committed', epoch: 1, seq: 1 } satisfies SessionCommit;

let site: SmallSite;
before(async () => {
  site = await SmallSite.start({ gateway: { limits: { spool: '64KiB' } } });
});
after(() => site.stop());

/** Every agent answers a commit with this. */
function agentsSay(commit: SessionCommit | (() => Promise<SessionCommit>)): void {
  for (const { agent } of site.apps) {
    agent.replies[AGENT_API.commit] = async ({ body }) => {
      const answer = typeof commit === 'function' ? await commit() : commit;
      return { body: { sessions: (body as CommitRequest).sessionIds.map(() => answer) } };
    };
  }
}

/** The session IDs that agents were asked to commit, call by call. */
function commitsAsked(): (readonly string[])[] {
  return site.apps.flatMap(({ agent }) =>
    agent.calls
      .filter(({ path }) => path === AGENT_API.commit)
      .map(({ body }) => (body as CommitRequest).sessionIds),
  );
}

const write = (headers: Record<string, string> = { cookie: 'sid=abc' }, { url } = site) =>
  fetch(url, { method: 'POST', headers, body: 'x', redirect: 'manual' });

describe('an answer to a write', () => {
  test('reaches the client after its commit: no status, no header, no byte before', async () => {
    site.serve(() => (_request, response) => response.writeHead(302, { location: '/cart' }).end('see there'));
    let commit: (() => void) | undefined;
    agentsSay(
      () =>
        new Promise((resolve) => {
          commit = () => resolve(COMMITTED);
        }),
    );
    let answered = false;
    const answer = write().then((response) => {
      answered = true;
      return response;
    });
    await eventually('the agent is asked', () => commit !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(answered, false);
    commit?.();
    assert.equal((await answer).status, 302);
    assert.equal(await (await answer).text(), 'see there');
    assert.deepEqual(commitsAsked(), [['abc']]);
  });

  test('that says that the app broke off acknowledges nothing, and no commit is asked for', async () => {
    site.serve(() => (_request, response) => response.writeHead(502).end('bad gateway'));
    agentsSay({ outcome: 'ended' });
    assert.equal((await write()).status, 502);
    assert.deepEqual(commitsAsked(), []);
  });

  for (const [outcome, details] of [
    [{ outcome: 'fenced' }, /commit_fenced|fenced/i],
    [{ outcome: 'unknown', code: 'STORE_UNREACHABLE' }, /commit_unknown|unknown/i],
  ] as const) {
    test(`whose commit is ${outcome.outcome} is withheld, with its cookies and its body`, async () => {
      site.serve(() => (_request, response) => {
        response.setHeader('Set-Cookie', 'sid=new; Path=/');
        response.end('bought');
      });
      agentsSay(outcome);
      const answer = await write();
      assert.equal(answer.status, 503);
      assert.match(answer.headers.get('proxy-status') ?? '', details);
      assert.deepEqual(answer.headers.getSetCookie(), []);
      assert.doesNotMatch(await answer.text(), /bought/);
    });
  }

  test('is not withheld because the session was logged out, or because the agent cannot save it', async () => {
    site.serve(() => (_request, response) => response.end('done'));
    for (const outcome of ['ended', 'unprotected', 'not-held'] as const) {
      agentsSay({ outcome });
      assert.equal((await write()).status, 200, outcome);
    }
  });

  test('is withheld when the agent answers for fewer sessions than it was asked for', async () => {
    site.serve(() => (_request, response) => response.end('done'));
    for (const { agent } of site.apps) agent.replies[AGENT_API.commit] = () => ({ body: { sessions: [] } });
    assert.equal((await write()).status, 503);
  });

  test('is withheld when the agent does not answer in time', async (t) => {
    const impatient = await SmallSite.start({ gateway: { timeouts: { hold: '400ms' } } });
    t.after(() => impatient.stop());
    impatient.serve(() => (_request, response) => response.end('done'));
    for (const { agent } of impatient.apps)
      agent.replies[AGENT_API.commit] = () => new Promise(() => undefined);
    assert.equal((await write({ cookie: 'sid=abc' }, impatient)).status, 503);
  });

  test('without any session goes out at once', async () => {
    site.serve(() => (_request, response) => response.end('done'));
    agentsSay({ outcome: 'unknown', code: 'INTERNAL' });
    assert.equal((await write({})).status, 200);
    assert.deepEqual(commitsAsked(), []);
  });

  test('too large to hold streams, is counted, and its commit is asked for all the same', async () => {
    site.serve(() => (_request, response) => response.end(Buffer.alloc(1024 * 1024)));
    agentsSay(COMMITTED);
    const body = await (await write()).arrayBuffer();
    assert.equal(body.byteLength, 1024 * 1024);
    await eventually('the commit is asked for', () => commitsAsked().length === 1);
    assert.equal((await countersOf(site.gateway)).held.overflowed, 1);
  });

  test('that breaks off while it is held is a 502 and no torn answer', async () => {
    site.serve(() => (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 50);
    });
    agentsSay(COMMITTED);
    assert.equal((await write()).status, 502);
  });
});

describe('an answer to a read', () => {
  test('is not held', async () => {
    site.serve(() => (_request, response) => response.end('cart'));
    agentsSay(() => new Promise(() => undefined));
    const answer = await fetch(site.url, { headers: { cookie: 'sid=abc' } });
    assert.equal(await answer.text(), 'cart');
    assert.deepEqual(commitsAsked(), []);
  });

  test('that sets the session cookie is held, for the old session and the new one', async () => {
    site.serve(() => (_request, response) => response.setHeader('Set-Cookie', 'sid=new; Path=/').end());
    agentsSay(COMMITTED);
    const answer = await fetch(site.url, { headers: { cookie: 'sid=old' } });
    assert.equal(answer.status, 200);
    assert.deepEqual(commitsAsked(), [['old', 'new']]);
  });

  test('binds the new session to the app that made it', async () => {
    site.serve((app: SmallApp) => (_request, response) => {
      response.setHeader('Set-Cookie', `sid=made-by-${app.id}; Path=/`).end(app.id);
    });
    agentsSay(COMMITTED);
    const first = await fetch(site.url);
    const maker = await first.text();
    for (let i = 0; i < 5; i++) {
      const again = await fetch(site.url, { headers: { cookie: `sid=made-by-${maker}` } });
      assert.equal(await again.text(), maker);
    }
  });
});

test('a pool may hold every answer, or none', async (t) => {
  for (const [hold, status] of [
    ['all', 503],
    ['never', 200],
  ] as const) {
    const other = await SmallSite.start({ pool: { hold }, gateway: { timeouts: { hold: '100ms' } } });
    t.after(() => other.stop());
    for (const { agent } of other.apps) {
      agent.replies[AGENT_API.commit] = () => ({ body: { sessions: [{ outcome: 'fenced' }] } });
    }
    const method = hold === 'all' ? 'GET' : 'POST';
    const answer = await fetch(other.url, { method, headers: { cookie: 'sid=abc' } });
    assert.equal(answer.status, status, hold);
  }
});

test('an agent that is away is waited for while the answer may be held, and nobody else can serve', async (t) => {
  const other = await SmallSite.start({ gateway: { timeouts: { hold: '10s' } } });
  t.after(() => other.stop());
  await new GatewayAdmin(other.gateway.adminUrl).setState('app-2', 'maintenance');
  const refusals = new Map<SmallApp, number>();
  for (const app of other.apps) {
    app.agent.replies[AGENT_API.commit] = () => {
      const refused = refusals.get(app) ?? 0;
      refusals.set(app, refused + 1);
      if (refused < 2) {
        return {
          status: 503,
          body: { error: { code: 'AGENT_UNREACHABLE', message: 'starting', retrySafe: true } },
        };
      }
      // An agent that was away is trusted no more, so the gateway looks.
      other.lookup = () => recordOf(app.id, COMMITTED.epoch);
      return { body: { sessions: [COMMITTED] } };
    };
  }
  const answer = await fetch(other.url, { method: 'POST', headers: { cookie: 'sid=abc' }, body: 'x' });
  assert.equal(answer.status, 200);
  assert.equal(Math.max(...refusals.values()), 3);
});
