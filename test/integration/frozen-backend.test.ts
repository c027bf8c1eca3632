import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../services/eventually.ts';
import { FrozenServer } from '../services/frozen-server.ts';
import { countersOf, statusOf } from '../services/gateway-status.ts';
import { SmallSite } from '../services/small-site.ts';

let frozen: FrozenServer;
before(async () => {
  frozen = await FrozenServer.start();
});
after(() => frozen[Symbol.asyncDispose]());

async function startSite(pool: {
  weights?: Record<string, number>;
  urls: Record<string, string>;
}): Promise<SmallSite> {
  const site = await SmallSite.start({
    gateway: { timeouts: { connect: '500ms' } },
    // Half of all newcomers begin with either of them.
    pool: { balance: 'round-robin' },
    ...pool,
  });
  site.serve((app) => (_request, response) => response.end(app.id));
  return site;
}

describe('an app server whose machine is gone, so that connections to it get no answer,', () => {
  let pair: SmallSite;
  let alone: SmallSite;
  before(async () => {
    pair = await startSite({ urls: { 'app-1': frozen.url } });
    alone = await startSite({ urls: { 'app-1': frozen.url } });
    alone.app('app-2').agent.readiness = { ...alone.app('app-2').agent.readiness, ready: false };
    await eventually('the other one takes nobody', async () => {
      const status = await statusOf(alone.gateway);
      return status.pools[0]?.accepting === 1;
    });
    // Health is not asked again in these tests: the gateway has to find out by the requests themselves.
    await frozen.freeze();
  });
  after(async () => {
    await pair.stop();
    await alone.stop();
  });

  test('costs a request, of whatever method, no more than the time to connect', async () => {
    for (let i = 0; i < 6; i++) {
      const answer = await fetch(pair.url, { method: i % 2 ? 'POST' : 'GET', ...(i % 2 && { body: 'x' }) });
      assert.deepEqual([answer.status, await answer.text()], [200, 'app-2']);
    }
    assert.ok((await countersOf(pair.gateway)).retries.connect > 0);
  });

  test('costs a WebSocket no more than that', async () => {
    const server = new WebSocketServer({ server: pair.app('app-2').server });
    server.on('connection', (socket) => socket.send('app-2'));
    for (let i = 0; i < 4; i++) {
      const socket = new WebSocket(`ws://127.0.0.1:${pair.port}/`);
      const [message] = await once(socket, 'message');
      assert.equal(String(message), 'app-2');
      socket.terminate();
    }
    server.close();
  });

  test('is 503 when there is no other, safe to send again: it was certainly not carried out', async () => {
    const answer = await fetch(alone.url, { method: 'POST', body: 'x' });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.equal(alone.log.matching(/request failed/).length, 1);
    assert.doesNotMatch(await answer.text(), /127\.0\.0\.1|app-\d/);
  });
});
