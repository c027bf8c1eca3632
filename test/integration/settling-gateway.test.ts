import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AGENT_API } from '../../protocol/agent-api.ts';
import { statusOf } from '../services/gateway-status.ts';
import { recordOf, SmallSite } from '../services/small-site.ts';

async function startSite(t: { after: (stop: () => Promise<void>) => void }, move = '5s') {
  const site = await SmallSite.start({ gateway: { timeouts: { move } } });
  t.after(() => site.stop());
  site.serve((app) => (_request, response) => response.end(app.id));
  return site;
}

const visit = (site: SmallSite) => fetch(site.url, { headers: { cookie: 'sid=abc' } });

describe('a gateway whose store is settling', () => {
  test('guesses at no session without a record, and says when it will know', async (t) => {
    const site = await startSite(t);
    site.settlingMs = 3_200;
    const answer = await visit(site);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '4');
    assert.match(answer.headers.get('proxy-status') ?? '', /details="SESSION_UNKNOWN"/);
    assert.equal(
      site.apps.reduce((sum, { requests }) => sum + requests, 0),
      0,
    );
    site.settlingMs = 0;
    assert.equal((await visit(site)).status, 200, 'afterwards an absent record is one');
  });

  test('serves newcomers, and sessions whose owners confirm them', async (t) => {
    const site = await startSite(t);
    site.settlingMs = 3_200;
    assert.equal((await fetch(site.url)).status, 200);
    site.lookup = () => recordOf('app-2', 3);
    assert.equal(await (await visit(site)).text(), 'app-2');
  });

  test('takes nobody over before the store has settled, and then from what is there by then', async (t) => {
    const site = await startSite(t);
    const owner = site.app('app-1');
    owner.agent.replies[AGENT_API.adopt] = () => ({ body: { outcome: 'unknown', code: 'SOURCE_FAILED' } });
    owner.agent.replies[AGENT_API.release] = () => ({ body: { outcome: 'unknown', code: 'SOURCE_FAILED' } });
    site.lookup = () => recordOf('app-1', 3);
    site.settlingMs = 100;
    let isSettled = false;
    setTimeout(() => {
      isSettled = true;
      site.settlingMs = 0;
      site.lookup = () => recordOf('app-2', 9);
    }, 50);
    const answer = await visit(site);
    assert.deepEqual([answer.status, await answer.text()], [200, 'app-2']);
    assert.equal(isSettled, true);
    const adopts = site.app('app-2').agent.calls.filter(({ path }) => path === AGENT_API.adopt);
    assert.deepEqual(
      adopts.map(({ body }) => (body as { reason: string }).reason),
      ['unowned'],
      'it was confirmed, not taken over',
    );
  });

  test('has those come back that would wait for longer than a move may take', async (t) => {
    const site = await startSite(t, '500ms');
    const owner = site.app('app-1');
    owner.agent.replies[AGENT_API.adopt] = () => ({ body: { outcome: 'unknown', code: 'SOURCE_FAILED' } });
    site.lookup = () => recordOf('app-1', 3);
    site.settlingMs = 4_400;
    const answer = await visit(site);
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '5']);
    assert.equal(site.app('app-2').agent.calls.length, 0);
  });

  test('shows it in its status', async (t) => {
    const site = await startSite(t);
    site.settlingMs = 3_200;
    assert.equal((await statusOf(site.gateway)).gateway.storeSettlingMs, 3_200);
  });
});
