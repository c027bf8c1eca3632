import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AdminState, ApiErrorBody } from '../../gateway/admin-api/admin-api-types.ts';
import type { RunningGateway } from '../../gateway/gateway.ts';
import { eventually } from '../services/eventually.ts';
import { backendAt } from '../services/gateway-status.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startLocalRedis } from '../services/redis-process.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { TroubledRedis } from '../services/troubled-redis.ts';

async function setState(gateway: RunningGateway, backend: string, state: AdminState): Promise<Response> {
  return fetch(`${gateway.adminUrl}/v1/backends/${backend}/state`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ state }),
  });
}

const shows = (gateway: RunningGateway, id: string, state: AdminState) =>
  eventually(`${id} is ${state}`, async () => (await backendAt(gateway, id)).adminState === state);

const drainEnds = (gateway: RunningGateway, id: string) =>
  eventually(`${id} is drained`, async () => {
    const { drain } = await backendAt(gateway, id);
    return drain && drain.endedAt !== undefined && drain;
  });

describe('with two gateways', () => {
  test('a drain that one of them is asked for is done by both, and ended by either', async () => {
    await using installation = await SmallInstallation.start({ pool: { balance: 'round-robin' } });
    const told = installation.gateway;
    const other = await installation.startGateway();
    const visitors = [];
    for (let i = 0; i < 6; i++) {
      const visitor = installation.visitor(i % 2 === 0 ? told : other);
      const { server } = await visitor.post(`/cart/item-${i}`);
      visitors.push({ visitor, server });
    }
    const onFirst = visitors.filter(({ server }) => server === 'app-1').length;
    assert.ok(onFirst > 0 && onFirst < visitors.length);

    assert.equal((await setState(told, 'app-1', 'drain')).status, 202);
    const drain = await drainEnds(told, 'app-1');
    assert.equal(drain.state, 'complete');
    // By then no gateway sends it clients any more: it may be stopped.
    assert.equal((await backendAt(other, 'app-1')).adminState, 'drain');
    assert.equal((await drainEnds(other, 'app-1')).state, 'complete');
    for (let i = 0; i < 4; i++) {
      assert.equal((await installation.visitor(other).get('/cart')).server, 'app-2');
    }
    for (const [i, { visitor }] of visitors.entries()) {
      const visit = await visitor.get('/cart');
      assert.deepEqual([visit.status, visit.server, visit.body], [200, 'app-2', [`item-${i}`]]);
    }

    const late = await installation.startGateway();
    assert.equal((await backendAt(late, 'app-1')).adminState, 'drain', 'before it serves anybody');

    assert.equal((await setState(other, 'app-1', 'ready')).status, 200);
    await shows(told, 'app-1', 'ready');
    await shows(late, 'app-1', 'ready');
    assert.equal((await backendAt(told, 'app-1')).drain, undefined);
  });

  test('a client that comes through either keeps every write while its server is drained', async () => {
    await using installation = await SmallInstallation.start();
    const told = installation.gateway;
    const other = await installation.startGateway();
    const visitor = installation.visitor(told);
    const { server = '' } = await visitor.post('/cart/item-0');
    const items = ['item-0'];
    await setState(told, server, 'drain');
    // Some of these come before the other gateway knows of the drain.
    for (let i = 1; i < 12; i++) {
      items.push(`item-${i}`);
      const visit = await visitor.at(i % 2 === 0 ? told : other).post(`/cart/item-${i}`);
      assert.deepEqual([visit.status, visit.body], [200, items]);
    }
    assert.equal((await visitor.get('/cart')).server, installation.other(server).id);
  });
});

test('a drain with nobody to take over locks no client out: who comes again is served where the session was', async () => {
  await using installation = await SmallInstallation.start();
  const { gateway } = installation;
  const visitor = installation.visitor();
  const { server = '' } = await visitor.post('/cart/tea');
  await setState(gateway, server, 'drain');
  assert.equal((await drainEnds(gateway, server)).state, 'complete');
  const other = installation.other(server).id;
  await setState(gateway, other, 'drain');
  for (const items of [
    ['tea', 'cake'],
    ['tea', 'cake', 'milk'],
  ]) {
    const visit = await visitor.post(`/cart/${items.at(-1)}`);
    assert.deepEqual([visit.status, visit.server, visit.body], [200, server, items]);
  }
  assert.equal((await installation.visitor().get('/cart')).status, 503, 'a new client');
  assert.equal((await backendAt(gateway, other)).drain?.isLast, true);
});

test(
  'while Redis is away nobody is drained, and whoever asks is told why',
  localRedisRequirement(),
  async () => {
    const redis = await startLocalRedis();
    try {
      await using door = await TroubledRedis.start(redis.url);
      await using installation = await SmallInstallation.start({ storeUrl: door.url });
      door.trouble = 'away';
      const refused = await eventually('the gateway has noticed', async () => {
        const answer = await setState(installation.gateway, 'app-1', 'drain');
        return answer.status === 503 && answer;
      });
      const { error } = (await refused.json()) as ApiErrorBody;
      assert.match(error.message, /share it through the store/);
      assert.equal((await backendAt(installation.gateway, 'app-1')).adminState, 'ready');

      // A gateway that starts now serves, and catches up.
      const blind = await installation.startGateway();
      assert.equal((await backendAt(blind, 'app-1')).adminState, 'ready');
      door.trouble = 'none';
      await eventually('it can be drained', async () => {
        return (await setState(installation.gateway, 'app-1', 'drain')).status === 202;
      });
      await shows(blind, 'app-1', 'drain');
    } finally {
      await redis.stop();
    }
  },
);
