import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { configSchema } from '../../config/schema.ts';
import { createAffinityCookies } from '../../gateway/affinity/affinity-cookie.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { eventually } from '../services/eventually.ts';
import { countersOf, sees } from '../services/gateway-status.ts';
import { linkTo } from '../services/link-to.ts';
import { type ShopServer, TEST_SECRET } from '../services/shop-server.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import type { Visit, Visitor } from '../services/visitor.ts';

const MINUTE = 60_000;

/** Has slow requests of a shop wait until the test lets them go. */
function slowDown(server: ShopServer) {
  const reached = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  server.pause = () => {
    reached.resolve();
    return letGo.promise;
  };
  return { reached: reached.promise, letGo: letGo.resolve };
}

function assertWithheld(visit: Visit, code = 'COMMIT_FENCED'): void {
  assert.equal(visit.status, 503);
  assert.equal((visit.body as { code?: string }).code, code);
}

/** A visitor with a cart at one gateway; another gateway that can be cut off from that visitor's app server. */
async function setUp(
  t: TestContext,
  gateway: { timeouts?: Record<string, string> } = {},
  pool: { hold?: 'all' } = {},
) {
  const installation = await SmallInstallation.start({ gateway, pool });
  t.after(() => installation[Symbol.asyncDispose]());
  const atFirst = installation.visitor();
  const { server: holder } = await atFirst.post('/cart/tea');
  const server = installation.server(holder);
  const toApp = await linkTo(t, server.url);
  const toAgent = await linkTo(t, server.agentUrl);
  const reached = { apps: { [server.id]: toApp.url }, agents: { [server.id]: toAgent.url } };
  const mover = await installation.startGateway({}, reached);
  /** From now on the other gateway does not reach the app server, and perhaps not its agent, and moves its sessions. */
  const cutOff = async ({ agentToo = false } = {}) => {
    if (agentToo) await toAgent.link.cut();
    await toApp.link.cut();
    await sees(mover, server.id, false);
  };
  return { installation, atFirst, mover, cutOff, server, other: installation.other(holder) };
}

describe('two gateways', () => {
  test('move no session from under a request that the other has under way', async (t) => {
    const { atFirst, mover, cutOff, server, other } = await setUp(t);
    const slow = slowDown(server);
    const writing = atFirst.post('/slow/cake');
    await slow.reached;
    await cutOff();
    const reading = atFirst.at(mover).get('/cart');
    await eventually('the mover is about it', async () => (await countersOf(mover)).lookups.found > 0);
    slow.letGo();
    const written = await writing;
    assert.deepEqual([written.status, written.server, written.body], [200, server.id, ['tea', 'cake']]);
    const read = await reading;
    assert.deepEqual([read.status, read.server, read.body], [200, other.id, ['tea', 'cake']]);
  });

  test('let out nothing of a request that took longer than the other could wait for it', async (t) => {
    const { atFirst, mover, cutOff, server, other } = await setUp(t, { timeouts: { move: '400ms' } });
    const slow = slowDown(server);
    const reading = atFirst.get('/slow-cart');
    await slow.reached;
    await cutOff();
    const elsewhere = atFirst.at(mover);
    const written = await eventually('the session moves', async () => {
      const visit = await elsewhere.post('/cart/cake');
      return visit.status === 200 && visit;
    });
    assert.deepEqual([written.server, written.body], [other.id, ['tea', 'cake']]);
    slow.letGo();
    assertWithheld(await reading);
    assert.deepEqual(
      (await atFirst.get('/cart')).body,
      ['tea', 'cake'],
      'the client comes back, and is right',
    );
  });

  test('follow no cookie from before a move that the other made', async (t) => {
    const { installation, atFirst, mover, cutOff, other } = await setUp(t);
    const old = atFirst.at(installation.gateway);
    await cutOff();
    const elsewhere = atFirst.at(mover);
    assert.deepEqual((await elsewhere.post('/cart/cake')).body, ['tea', 'cake']);
    const visit = await old.get('/cart');
    assert.deepEqual([visit.status, visit.server, visit.body], [200, other.id, ['tea', 'cake']]);
    const before = await countersOf(installation.gateway);
    await old.get('/cart');
    const after = await countersOf(installation.gateway);
    assert.equal(after.routed.bound, before.routed.bound + 1, 'the new cookie needs no lookup');
  });

  test('need no lookup for what the other has had confirmed', async (t) => {
    const { atFirst, mover } = await setUp(t);
    await atFirst.get('/cart');
    const visitor = atFirst.at(mover);
    await visitor.get('/cart');
    // The first gateway's stamp was older than the mover's lease; the one that the mover gave is good with both.
    const before = await countersOf(mover);
    assert.equal((await visitor.get('/cart')).status, 200);
    const after = await countersOf(mover);
    assert.deepEqual(
      [after.routed.bound - before.routed.bound, after.lookups.found - before.lookups.found],
      [1, 0],
    );
  });

  test('follow no cookie from before a move when they were started after it', async (t) => {
    const { installation, atFirst, mover, cutOff, other } = await setUp(t);
    const old = atFirst.at(mover);
    await cutOff();
    await atFirst.at(mover).post('/cart/cake');
    const visit = await old.at(await installation.startGateway()).get('/cart');
    assert.deepEqual([visit.status, visit.server, visit.body], [200, other.id, ['tea', 'cake']]);
  });

  for (const minutes of [5, -5]) {
    test(`agree although the clock of one is ${minutes} minutes off`, async (t) => {
      const { installation, atFirst, mover, cutOff, server, other } = await setUp(t);
      const off = reissued(atFirst, server.id, minutes * MINUTE);
      const visitor = off.at(installation.gateway);
      const before = await countersOf(installation.gateway);
      assert.equal((await visitor.get('/cart')).server, server.id);
      const after = await countersOf(installation.gateway);
      assert.equal(
        after.routed.bound,
        before.routed.bound + 1,
        'a cookie is good by its stamp, not by its time',
      );

      await cutOff();
      await atFirst.at(mover).post('/cart/cake');
      const visit = await off.at(installation.gateway).get('/cart');
      assert.deepEqual([visit.status, visit.server, visit.body], [200, other.id, ['tea', 'cake']]);
    });
  }

  test('look a session up that the other has seen end, whatever they knew of it', async (t) => {
    const { installation, atFirst, server } = await setUp(t);
    const toAgent = await linkTo(t, server.agentUrl);
    const blind = await installation.startGateway({}, { agents: { [server.id]: toAgent.url } });
    const there = atFirst.at(blind);
    await eventually('it follows the binding', async () => {
      await there.get('/cart');
      return (await countersOf(blind)).routed.bound > 0;
    });
    const before = await countersOf(blind);
    // It will not hear of the logout, and its lease holds for a while.
    toAgent.link.setTrouble('both', 'black-hole');
    assert.equal((await atFirst.post('/logout')).status, 200);
    const visitor = atFirst.at(blind);
    const bodies = [(await visitor.get('/cart')).body, (await visitor.get('/cart')).body];
    const after = await countersOf(blind);
    assert.deepEqual(bodies, [[], []]);
    assert.deepEqual(
      [after.routed.bound - before.routed.bound, after.lookups.ended - before.lookups.ended],
      [0, 2],
    );
  });

  test('show nothing of a session to whoever asked before it was logged out through the other', async (t) => {
    const { installation, atFirst, mover, cutOff, server } = await setUp(t, {}, { hold: 'all' });
    const slow = slowDown(server);
    const reading = atFirst.get('/slow-cart');
    await slow.reached;
    await cutOff({ agentToo: true });
    const elsewhere = atFirst.at(mover);
    await eventually('it is logged out', async () => (await elsewhere.post('/logout')).status === 200);
    await eventually('its former owner knows', async () => {
      const { agent } = await installation.backend(server.id);
      return agent.state === 'ok' && agent.sessions === 0;
    });
    slow.letGo();
    assertWithheld(await reading, 'COMMIT_ENDED');
  });

  test('agree when one of them is cut off from an agent', async (t) => {
    const { installation, atFirst, mover, cutOff, server, other } = await setUp(t);
    const toAgent = await linkTo(t, server.agentUrl);
    const blind = await installation.startGateway({}, { agents: { [server.id]: toAgent.url } });
    const visitor = atFirst.at(blind);
    assert.equal((await visitor.get('/cart')).server, server.id);
    const old = visitor.at(blind);
    const slow = slowDown(server);
    const reading = visitor.get('/slow-cart');
    await slow.reached;
    toAgent.link.setTrouble('both', 'black-hole');
    await cutOff();
    const elsewhere = atFirst.at(mover);
    const written = await eventually('the session moves, once the lease has run out', async () => {
      const visit = await elsewhere.post('/cart/cake');
      return visit.status === 200 && visit;
    });
    assert.deepEqual([written.server, written.body], [other.id, ['tea', 'cake']]);
    const visit = await old.get('/cart');
    assert.deepEqual([visit.status, visit.server, visit.body], [200, other.id, ['tea', 'cake']]);
    slow.letGo();
    assertWithheld(await reading, 'COMMIT_UNKNOWN');
  });
});

describe('while an agent says nothing to a gateway, though its lease still holds, a read', () => {
  /** A visitor with a cart, at a gateway that reaches the agent over a link. */
  async function boundThroughLink(t: TestContext) {
    const { installation, atFirst, server } = await setUp(t);
    const toAgent = await linkTo(t, server.agentUrl);
    const gateway = await installation.startGateway({}, { agents: { [server.id]: toAgent.url } });
    const visitor = atFirst.at(gateway);
    await eventually('it needs no lookup any more', async () => {
      await visitor.get('/cart');
      return (await countersOf(gateway)).routed.bound > 0;
    });
    return { gateway, visitor, server, toAgent };
  }

  /** A read that its app answers when the agent has been silent for a while. */
  async function readInSilence(t: TestContext) {
    const { visitor, server, toAgent } = await boundThroughLink(t);
    const slow = slowDown(server);
    const reading = visitor.get('/slow-cart');
    await slow.reached;
    toAgent.link.setTrouble('both', 'black-hole');
    await pause(500);
    slow.letGo();
    return { reading, link: toAgent.link };
  }

  test('is not shown, since nobody says that what it shows is saved', async (t) => {
    const { reading } = await readInSilence(t);
    assertWithheld(await reading, 'COMMIT_UNKNOWN');
  });

  test('is shown when the agent has said so', async (t) => {
    const { reading, link } = await readInSilence(t);
    await link.mend();
    const { status, body } = await reading;
    assert.deepEqual([status, body], [200, ['tea']]);
  });

  test('streams from then on: what the app has sent so far does not wait for the rest', async (t) => {
    const { gateway, visitor, server, toAgent } = await boundThroughLink(t);
    const slow = slowDown(server);
    toAgent.link.setTrouble('both', 'black-hole');
    await pause(500);
    const cookie = [...visitor.cookies].map((pair) => pair.join('=')).join('; ');
    const answering = fetch(`${gateway.url}/slow-page`, { headers: { cookie } });
    await slow.reached;
    await toAgent.link.mend();
    const { body } = await answering;
    assert.ok(body);
    const pieces = body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    assert.equal((await pieces.next()).value, 'tea\n');
    slow.letGo();
    assert.equal((await pieces.next()).value, 'that is all\n');
  });
});

describe('an app server that was paused and wakes up', () => {
  for (const agentToo of [false, true]) {
    test(`${agentToo ? 'together with its agent ' : ''}answers nobody with what it knew before`, async (t) => {
      const health = { interval: '50ms', timeout: '200ms', fall: 2, rise: 1 };
      const installation = await SmallInstallation.start({ pool: { health } });
      t.after(() => installation[Symbol.asyncDispose]());
      const first = installation.visitor();
      const server = installation.server((await first.post('/cart/tea')).server);
      const toAgent = await linkTo(t, server.agentUrl);
      const timeouts = { agent: '500ms', move: '500ms' };
      const gateway = await installation.startGateway({ timeouts }, { agents: { [server.id]: toAgent.url } });
      const visitor = first.at(gateway);
      assert.equal((await visitor.get('/cart')).server, server.id);

      const slow = slowDown(server);
      const reading = visitor.at(gateway).get('/slow-cart');
      const writing = visitor.at(gateway).post('/slow/stale');
      await slow.reached;
      const awake = Promise.withResolvers<void>();
      server.beforeHealth = () => awake.promise;
      if (agentToo) toAgent.link.setTrouble('both', 'black-hole');
      await sees(gateway, server.id, false);
      const written = await eventually('the session moves', async () => {
        const visit = await visitor.post('/cart/cake');
        return visit.status === 200 && visit;
      });
      assert.deepEqual([written.server, written.body], [installation.other(server.id).id, ['tea', 'cake']]);

      awake.resolve();
      await toAgent.link.mend();
      await sees(gateway, server.id, true);
      slow.letGo();
      assertWithheld(await reading);
      assert.equal((await writing).status, 503);
      assert.deepEqual((await visitor.get('/cart')).body, ['tea', 'cake']);
    });
  }
});

/** The same visitor with a cookie from a gateway whose clock is so much ahead. */
function reissued(visitor: Visitor, backend: string, aheadMs: number): Visitor {
  const { affinity: config } = configSchema.parse({ secret: TEST_SECRET }).gateway;
  const keys = [deriveSecrets(TEST_SECRET).affinity];
  const cookies = createAffinityCookies({ keys, config, pool: 'shop', backendIds: ['app-1', 'app-2'] });
  const verdict = cookies.verify(visitor.cookies.get('stickshift') ?? '', Date.now());
  assert.ok(verdict.ok);
  const { epoch, session, stamp } = verdict.affinity;
  const value = cookies.issue({ backend, epoch, session, stamp, now: Date.now() + aheadMs });
  visitor.cookies.set('stickshift', value);
  return visitor;
}
