import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RunningGateway } from '../../gateway/gateway.ts';
import { eventually } from '../services/eventually.ts';
import { linkTo } from '../services/link-to.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import type { ShopServer } from '../services/shop-server.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import type { Visitor } from '../services/visitor.ts';

async function isUp(gateway: RunningGateway, { id }: ShopServer): Promise<boolean> {
  const answer = await fetch(`${gateway.adminUrl}/v1/backends/${id}`);
  return ((await answer.json()) as { up: boolean }).up;
}

describe('a session that was taken over from a server which one gateway alone cannot reach', {
  ...localRedisRequirement(),
}, () => {
  let redis: LocalRedis;
  before(async () => {
    redis = await startLocalRedis();
  });
  after(() => redis.stop());

  /**
   * Two gateways. One of them is cut off from the server that holds a visitor's cart, and takes it over; if `deaf`, that server's
   * agent does not reach the store any more either.
   */
  async function takenOver(t: TestContext, { deaf }: { readonly deaf: boolean }) {
    const toStore = {
      'app-1': await linkTo(t, redis.url),
      'app-2': await linkTo(t, redis.url),
    } as const;
    const agentStoreUrls = { 'app-1': toStore['app-1'].url, 'app-2': toStore['app-2'].url };
    const installation = await SmallInstallation.start({ storeUrl: redis.url, agentStoreUrls });
    t.after(() => installation[Symbol.asyncDispose]());
    const visitor = installation.visitor();
    const { server: holder } = await visitor.post('/cart/tea');
    const server = installation.server(holder);
    const toApp = await linkTo(t, server.url);
    const toAgent = await linkTo(t, server.agentUrl);
    const reached = { apps: { [server.id]: toApp.url }, agents: { [server.id]: toAgent.url } };
    const mover = await installation.startGateway({}, reached);
    await visitor.get('/cart');
    // As somebody has them who looked over the visitor's shoulder.
    const old = visitor.at(installation.gateway);

    if (deaf) toStore[server.id as keyof typeof toStore].link.setTrouble('both', 'black-hole');
    await toAgent.link.cut();
    await toApp.link.cut();
    await eventually('the server is taken for down', async () => !(await isUp(mover, server)));
    const moved = visitor.at(mover);
    const written = await eventually('the session moves', async () => {
      const visit = await moved.post('/cart/cake');
      return visit.status === 200 && visit;
    });
    assert.deepEqual([written.server, written.body], [installation.other(holder).id, ['tea', 'cake']]);
    assert.ok(await isUp(installation.gateway, server), 'the other gateway still reaches it');
    return { installation, server, old, moved };
  }

  const strangers = (old: Visitor, gateway: RunningGateway) => [
    old.at(gateway),
    old.at(gateway, ['connect.sid']),
  ];

  for (const deaf of [false, true]) {
    const whose = deaf ? 'and whose agent does not reach the store either, ' : '';
    test(`${whose}answers nobody any more who comes after its logout`, async (t) => {
      const { installation, old, moved } = await takenOver(t, { deaf });
      assert.equal((await moved.post('/logout')).status, 200);
      for (const stranger of strangers(old, installation.gateway)) {
        const visit = await stranger.get('/cart');
        assert.deepEqual([visit.status, visit.body], [200, []]);
      }
    });

    test(`${whose}is given to nobody any more by its old ID after a login`, async (t) => {
      const { installation, old, moved } = await takenOver(t, { deaf });
      const before = moved.sessionId;
      assert.equal((await moved.post('/login/ann')).status, 200);
      assert.notEqual(moved.sessionId, before);
      for (const stranger of strangers(old, installation.gateway)) {
        const visit = await stranger.get('/cart');
        assert.deepEqual([visit.status, visit.body], [200, []]);
      }
      assert.deepEqual((await moved.get('/cart')).body, ['tea', 'cake']);
    });
  }

  test('is where it moved to for everybody, soon, though nobody writes to it', async (t) => {
    const { installation, server, old } = await takenOver(t, { deaf: false });
    await eventually('the old cookie leads there', async () => {
      const [visitor] = strangers(old, installation.gateway);
      const visit = await visitor?.get('/cart');
      return visit?.server === installation.other(server.id).id;
    });
    await eventually('its former owner has forgotten it', async () => {
      const { agent } = await installation.backend(server.id);
      return agent.state === 'ok' && agent.sessions === 0;
    });
  });
});

describe('a store that is away for everybody, for longer than leases hold,', localRedisRequirement(), () => {
  test('locks nobody out of what the servers hold', async (t) => {
    const redis = await startLocalRedis();
    t.after(() => redis.stop());
    const installation = await SmallInstallation.start({ storeUrl: redis.url });
    t.after(() => installation[Symbol.asyncDispose]());
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea');
    redis.stall();
    const lapsed = () => installation.gatewayLog.matching(/no lease/).length > 0;
    await eventually('no agent vouches for anything', lapsed);
    // Nobody has written anything meanwhile.
    await eventually('gateway and agents say so', async () => {
      const { gateway, pools } = await installation.status();
      const agents = pools.flatMap(({ backends }) => backends.map(({ agent }) => agent));
      return gateway.storeFailure && agents.every((agent) => agent.state === 'ok' && agent.store !== 'ok');
    });
    const read = await visitor.get('/cart');
    assert.deepEqual([read.status, read.server, read.body], [200, server, ['tea']]);
    const written = await visitor.post('/cart/cake');
    assert.deepEqual([written.status, written.server, written.body], [200, server, ['tea', 'cake']]);
    const newcomer = installation.visitor();
    assert.deepEqual((await newcomer.post('/cart/jam')).body, ['jam']);
    assert.deepEqual((await newcomer.get('/cart')).body, ['jam']);
    assert.deepEqual((await newcomer.post('/cart/milk')).body, ['jam', 'milk']);
    redis.resume();
    await eventually('writes stand again', async () => {
      const { agent } = await installation.backend(server ?? '');
      return agent.state === 'ok' && agent.atRisk === 0 && agent.dirty === 0 && agent.store === 'ok';
    });
    assert.deepEqual((await visitor.get('/cart')).body, ['tea', 'cake']);
    assert.deepEqual((await newcomer.get('/cart')).body, ['jam', 'milk']);
    await eventually('the gateway says so', async () => !(await installation.status()).gateway.storeFailure);
  });
});
