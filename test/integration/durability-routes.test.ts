import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  AGENT_API,
  type CommitDurability,
  type CommitRequest,
  type SessionCommit,
} from '../../protocol/agent-api.ts';
import { countersOf } from '../services/gateway-status.ts';
import { SmallSite } from '../services/small-site.ts';

const COMMITTED = { outcome: 'committed', epoch: 1, seq: 1 } as const satisfies SessionCommit;

let site: SmallSite;
before(async () => {
  site = await SmallSite.start({
    pool: {
      durability: 'async',
      replicas: 2,
      routes: [
        { paths: ['/pay'], methods: ['POST'], durability: 'replica' },
        { paths: ['/pay', '/cart'], durability: 'ack', onStoreDown: 'refuse' },
        { paths: ['/ping'], hold: 'never' },
        { paths: ['/account'], hold: 'all' },
      ],
      health: { fall: 1_000_000 },
    },
  });
});
after(() => site.stop());

/** What the agents are asked for from here on; every one of them answers with `commit`. */
function agentsSay(commit: SessionCommit): CommitDurability[] {
  const asked: CommitDurability[] = [];
  site.serve(() => (_request, response) => response.end('done'));
  for (const { agent } of site.apps) {
    agent.replies[AGENT_API.commit] = ({ body }) => {
      const { sessionIds, durability } = body as CommitRequest;
      if (durability) asked.push(durability);
      return { body: { sessions: sessionIds.map(() => commit) } };
    };
  }
  return asked;
}

const send = (method: string, path: string) =>
  fetch(site.url + path, { method, headers: { cookie: 'sid=abc', accept: 'text/plain' } });

const held = async () => (await countersOf(site.gateway)).held;

describe('what an answer waits for', () => {
  for (const [request, durability] of [
    ['POST /pay', { mode: 'replica', replicas: 2, onStoreDown: 'refuse' }],
    ['PUT /pay/card?n=1', { mode: 'ack', onStoreDown: 'refuse' }],
    ['POST /cart/tea', { mode: 'ack', onStoreDown: 'refuse' }],
    ['POST /cartoons', { mode: 'async', onStoreDown: 'serve' }],
    ['POST /', { mode: 'async', onStoreDown: 'serve' }],
    ['GET /account', { mode: 'async', onStoreDown: 'serve' }],
  ] as const) {
    test(`to ${request} is ${durability.mode} as its route says`, async () => {
      const asked = agentsSay(COMMITTED);
      const [method = '', path = ''] = request.split(' ');
      assert.equal((await send(method, path)).status, 200);
      assert.deepEqual(asked, [durability]);
    });
  }

  test('is nothing where a route is never held, nor for what only reads', async () => {
    const asked = agentsSay({ outcome: 'fenced' });
    for (const [method, path] of [
      ['POST', '/ping'],
      ['GET', '/cart'],
    ] as const) {
      assert.equal((await send(method, path)).status, 200, path);
    }
    assert.deepEqual(asked, []);
  });
});

describe('an answer whose change is', () => {
  for (const [outcome, counter] of [
    ['accepted', 'accepted'],
    ['journaled', 'atRisk'],
  ] as const) {
    test(`${outcome} goes out, and is counted as what it is`, async () => {
      agentsSay({ outcome, epoch: 1, seq: 1 });
      const before = await held();
      assert.equal((await send('POST', '/')).status, 200);
      const now = await held();
      assert.deepEqual([now[counter] - before[counter], now.released - before.released], [1, 0]);
    });
  }

  test('nowhere to be seen goes out from an app that lives, and is withheld when the app has died', async () => {
    agentsSay({ ...COMMITTED, unchanged: true });
    assert.equal((await send('POST', '/cart')).status, 200);

    // As PHP does, when it is killed between the end of its answer and the end of its script.
    site.serve((app) => (_request, response) => {
      response.end('done');
      response.once('finish', () => app.server.close());
    });
    const answer = await send('POST', '/cart');
    assert.equal(answer.status, 503);
    assert.match(answer.headers.get('proxy-status') ?? '', /details="COMMIT_UNKNOWN"/);
    assert.doesNotMatch(await answer.text(), /done/);
  });
});

test('each reason to withhold an answer has a Proxy-Status of its own', async (t) => {
  const other = await SmallSite.start();
  t.after(() => other.stop());
  const details = [];
  for (const commit of [
    { outcome: 'fenced' },
    { outcome: 'late' },
    { outcome: 'unknown', code: 'STORE_NOT_REPLICATED' },
  ] as const satisfies SessionCommit[]) {
    for (const { agent } of other.apps) {
      agent.replies[AGENT_API.commit] = () => ({ body: { sessions: [commit] } });
    }
    const answer = await fetch(other.url, { method: 'POST', headers: { cookie: 'sid=abc' } });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), null, 'it may have been carried out');
    details.push(/details="([^"]*)"/.exec(answer.headers.get('proxy-status') ?? '')?.[1]);
  }
  assert.deepEqual(details, ['COMMIT_FENCED', 'COMMIT_ENDED', 'COMMIT_UNKNOWN']);
});
