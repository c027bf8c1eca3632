import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { SessionLookupAnswer, StateAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { eventually } from '../services/eventually.ts';
import { PhpRequest, phpRequired } from '../services/php.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startLocalRedis } from '../services/redis-process.ts';
import { Customer } from './fixtures/customer.ts';
import { PhpSite, type PhpSiteOptions } from './fixtures/php-site.ts';

const CUSTOMERS = 6;

/** A site, and customers with a few items in their carts. */
async function shopping(t: TestContext, options?: PhpSiteOptions) {
  const site = await PhpSite.start(options);
  t.after(async () => {
    if (process.env.STICKSHIFT_TEST_LOG) process.stderr.write(site.log);
    await site.stop();
  });
  const customers = Array.from({ length: CUSTOMERS }, (_, index) => new Customer(site.url, `c${index}`));
  for (const customer of customers) {
    for (let item = 0; item < 3; item++) assert.ok(await customer.add());
  }
  const [first] = customers;
  assert.ok(first);
  const home = site.server(first.server);
  return { site, customers, first, home, other: site.other(home) };
}

async function auditAll(customers: readonly Customer[]): Promise<void> {
  for (const customer of customers) assert.deepEqual(await customer.audit(), [], customer.name);
}

describe('a PHP shop with its sessions in files', phpRequired(), () => {
  test('a cart is complete on the other server after its own was killed with its agent, under traffic', async (t) => {
    const { site, customers, home, other } = await shopping(t);
    const moving = customers.filter(({ server }) => server === home.id);
    const stop = new AbortController();
    // Also when the test fails, or it would go on for ever.
    t.after(() => stop.abort());
    const traffic = customers.map(async (customer) => {
      while (!stop.signal.aborted) {
        await customer.add();
        await pause(10);
      }
    });
    await eventually('everybody is at it', () =>
      customers.every(({ ledger }) => ledger.count('acknowledged') > 5),
    );
    await home.kill();
    const before = new Map(moving.map((customer) => [customer, customer.ledger.count('acknowledged')]));
    await eventually('everybody goes on shopping on the other server', () =>
      moving.every(
        (customer) =>
          customer.server === other.id &&
          customer.ledger.count('acknowledged') > (before.get(customer) ?? 0) + 3,
      ),
    );
    stop.abort();
    await Promise.all(traffic);
    await auditAll(customers);
    assert.equal((await site.status(home)).up, false);
  });

  test('a drain moves every idle session, and leaves none in the old server’s directory', async (t) => {
    const { site, customers, first, home, other } = await shopping(t);
    const moving = customers.filter(({ server }) => server === home.id).map(({ sessionId }) => sessionId);
    assert.deepEqual(home.sessionIds().sort(), moving.sort());

    const { drain } = (await site.command('drain', home.id, '--wait')) as StateAnswer;
    assert.equal(drain?.state, 'complete');
    assert.deepEqual(home.sessionIds(), []);
    const record = await site.admin.lookUp({ session: first.sessionId });
    assert.equal(record?.state, 'released');

    await auditAll(customers);
    assert.equal(first.server, other.id);
    assert.deepEqual(other.sessionIds().sort(), customers.map(({ sessionId }) => sessionId).sort());
  });

  test('a killed server that comes back is ready once it has forgotten its stale sessions, and takes load again', async (t) => {
    const { site, customers, first, home, other } = await shopping(t);
    const moving = customers.filter(({ server }) => server === home.id);
    const replays = moving.map((customer) => customer.twin());
    await home.kill();
    for (const customer of moving) {
      await customer.look();
      assert.ok(await customer.add());
    }
    const stale = moving.map(({ sessionId }) => sessionId).sort();
    assert.deepEqual(home.sessionIds().sort(), stale, 'the files of the killed server are still on its disk');

    // A session that is in use cannot be forgotten before it is free again.
    const holder = new PhpRequest(home.phpSettings, first.sessionId, `pause('locked');`);
    await holder.at('locked');
    await home.start();
    await eventually('all but the locked one are forgotten', () => home.sessionIds().length === 1);
    assert.equal((await home.agentReadiness()).ready, false);
    holder.goOn();
    await holder.ended();
    await eventually('the agent is ready', async () => (await home.agentReadiness()).ready);
    assert.deepEqual(home.sessionIds(), []);
    await site.isUp(home);

    for (const replay of replays) {
      assert.equal((await replay.look()).cart.length, 4);
      assert.equal(replay.server, other.id);
    }
    await eventually('a new customer on the server that came back', async () => {
      const customer = new Customer(site.url, 'new');
      assert.ok(await customer.add());
      return customer.server === home.id;
    });
    await site.command('drain', other.id, '--wait');
    await auditAll(customers);
    assert.ok(customers.every(({ server }) => server === home.id));
  });

  test('a server that comes back without its session files gets those of its customers again', async (t) => {
    const { site, customers, home } = await shopping(t);
    await home.kill();
    // As a container does whose sessions are in memory. Nobody has asked for them meanwhile.
    for (const id of home.sessionIds()) await rm(join(home.sessions, `sess_${id}`));
    await home.start();
    await site.isUp(home);
    await auditAll(customers);
    for (const customer of customers) assert.ok(await customer.add(), customer.name);
    await auditAll(customers);
  });

  test('a session that was emptied outlives its agent', async (t) => {
    const { site, first, home } = await shopping(t);
    await first.send('POST', '/empty');
    assert.deepEqual((await first.look()).cart, []);
    await home.agent.kill();
    await home.agent.start();
    await site.isUp(home);
    const reply = await first.send('POST', '/cart/items', { id: 'after' });
    assert.equal(reply?.status, 200);
    assert.deepEqual((await first.look()).cart, ['after']);
  });

  test('session_destroy() logs out for good: the old cookie finds an empty cart, also after a failover', async (t) => {
    const { site, first, home, other } = await shopping(t);
    await first.send('POST', '/login', { name: 'Ada' });
    assert.equal((await first.look()).customer, 'Ada');
    const thief = first.twin();
    assert.deepEqual((await first.send('POST', '/logout'))?.shop?.cart, []);

    const isOver = async () => {
      const { cart, customer } = await thief.twin().look();
      assert.deepEqual({ cart, customer }, { cart: [], customer: null });
      const record = (await site.command('session', thief.sessionId)) as SessionLookupAnswer;
      assert.equal(record.state, 'ended');
    };
    await isOver();
    await home.kill();
    await isOver();
    await home.start();
    await site.isUp(home);
    await other.kill();
    await isOver();
  });

  for (const comeback of ['on the other server', 'on its own, which comes back'] as const) {
    test(`a session whose login is killed goes on under the ID that the customer has, ${comeback}`, async (t) => {
      const { site, first, home, other } = await shopping(t);
      const { sessionId } = first;
      const login = first.twin().send('POST', '/login/slowly', { name: 'Ada' });
      await eventually('PHP has removed the old session', () => !home.sessionIds().includes(sessionId));
      await home.php.kill();
      assert.notEqual((await login)?.status, 200);
      if (comeback === 'on the other server') await home.agent.kill();
      else await home.php.start();
      await site.isUp(comeback === 'on the other server' ? other : home);
      assert.deepEqual(await first.audit(), []);
      assert.equal(first.sessionId, sessionId);
      assert.equal((await first.look()).customer, null);
      assert.ok(await first.add());
      assert.deepEqual(await first.audit(), []);
    });
  }

  for (const method of ['POST', 'GET'] as const) {
    test(`a session whose login died behind a web server, which says so, goes on (${method})`, async (t) => {
      const { first } = await shopping(t);
      const { sessionId } = first;
      assert.equal((await first.send(method, '/login/dies'))?.status, 503);
      assert.deepEqual(await first.audit(), []);
      assert.ok(await first.add());
      assert.deepEqual(await first.audit(), []);
      assert.equal(first.sessionId, sessionId);
    });
  }

  test('who keeps the cookie after a logout gets a cart that is safe', async (t) => {
    const { site, first, home } = await shopping(t);
    const dead = first.sessionId;
    await first.send('POST', '/logout');
    assert.equal(first.sessionId, dead, 'the shop leaves the cookie where it is');
    const next = new Customer(site.url, 'next', first.cookies);
    for (let item = 0; item < 3; item++) assert.ok(await next.add());
    assert.notEqual(next.sessionId, dead);
    await home.kill();
    assert.deepEqual(await next.audit(), []);
  });

  test('nothing is acknowledged in a session that was logged out unnoticed', async (t) => {
    const { site, first } = await shopping(t);
    const dead = first.sessionId;
    const thief = first.twin();
    await first.send('GET', '/logout');
    for (let item = 0; item < 3; item++) await thief.add();
    await eventually(
      'its tombstone',
      async () => (await site.admin.lookUp({ session: dead }))?.state === 'ended',
    );
    assert.ok(await thief.add());
    assert.deepEqual(await thief.audit(), []);
    assert.notEqual(thief.sessionId, dead);
  });

  test('a logout by a link, of which no agent is asked, is not undone by a move right after it', async (t) => {
    const { site, first, home } = await shopping(t);
    const thief = first.twin();
    assert.equal((await first.send('GET', '/logout'))?.status, 200);
    await site.command('drain', home.id, '--wait');
    assert.deepEqual((await thief.look()).cart, []);
    assert.notEqual(thief.server, home.id);
    assert.equal((await site.admin.lookUp({ session: first.sessionId }))?.state, 'ended');
  });

  test('an app that goes on under the ID that it has just logged out is told at once, each time, that nothing is kept', async (t) => {
    const { site, customers } = await shopping(t);
    for (const customer of customers) {
      const dead = customer.sessionId;
      const thief = customer.twin();
      const reply = await customer.send('POST', '/logout/again');
      assert.equal(reply?.status, 503);
      assert.match(reply.headers.get('proxy-status') ?? '', /COMMIT_ENDED/);
      assert.equal((await site.admin.lookUp({ session: dead }))?.state, 'ended');
      for (const one of [customer, thief]) {
        assert.deepEqual((await one.look()).cart, []);
        assert.ok(await one.add());
        assert.notEqual(one.sessionId, dead);
      }
      assert.notEqual(customer.sessionId, thief.sessionId);
    }
  });

  for (const [how, strictMode, form] of [
    ['in strict mode', true, {}],
    ['with session_regenerate_id(true)', false, { regenerate: 'yes' }],
  ] as const) {
    test(`what an app keeps for whoever it has just logged out is safe ${how}`, async (t) => {
      const { site, customers, home } = await shopping(t, { strictMode });
      for (const customer of customers) {
        const dead = customer.sessionId;
        const reply = await customer.send('POST', '/logout/again', form);
        assert.deepEqual(reply?.shop?.cart, ['again']);
        assert.notEqual(customer.sessionId, dead);
        assert.equal((await site.admin.lookUp({ session: dead }))?.state, 'ended');
      }
      await home.kill();
      for (const customer of customers) assert.deepEqual((await customer.look()).cart, ['again']);
    });
  }

  for (const strictMode of [false, true]) {
    const mode = `session.use_strict_mode=${Number(strictMode)}`;

    test(`${mode}: session_regenerate_id(true) takes the cart along, and the old ID is dead`, async (t) => {
      const { site, first, home, other } = await shopping(t, { strictMode });
      const before = first.twin();
      const oldId = first.sessionId;
      await first.send('POST', '/login', { name: 'Ada' });
      assert.notEqual(first.sessionId, oldId);
      assert.deepEqual(await first.audit(), []);
      await home.kill();
      assert.deepEqual(await first.audit(), []);
      assert.equal((await first.look()).customer, 'Ada');
      assert.equal(first.server, other.id);
      assert.deepEqual((await before.look()).cart, []);
      assert.equal((await site.admin.lookUp({ session: oldId }))?.state, 'ended');
    });

    test(`${mode}: requests that arrive together after a failover all find the session`, async (t) => {
      const { site, customers, home, other } = await shopping(t, { strictMode });
      const ids = customers.map(({ sessionId }) => sessionId);
      await home.kill();
      await Promise.all(
        customers.map(async (customer) => {
          const together = Array.from({ length: 4 }, async () => {
            const { cart } = await customer.look();
            assert.equal(cart.length, 3);
          });
          await Promise.all(together);
          assert.ok(await customer.add());
        }),
      );
      await auditAll(customers);
      assert.deepEqual(
        customers.map(({ sessionId }) => sessionId),
        ids,
      );
      assert.deepEqual(other.sessionIds().sort(), ids.toSorted());
      await eventually('its agent answers', async () => (await site.status(other)).agent.state === 'ok');
    });

    test(`${mode}: PHP alone dies, and its agent hands the sessions over`, async (t) => {
      const { customers, home, other } = await shopping(t, { strictMode });
      await home.php.kill();
      await auditAll(customers);
      assert.ok(customers.every(({ server }) => server === other.id));
      assert.deepEqual(home.sessionIds(), []);
    });
  }
});

describe('a PHP shop on a Redis that stalls', {
  skip: phpRequired().skip || localRedisRequirement().skip,
}, () => {
  test('a request whose session has to move gets 503 and PHP is not asked; it works when Redis answers again', async (t) => {
    const redis = await startLocalRedis();
    t.after(() => redis.stop());
    const { site, customers, first, home, other } = await shopping(t, {
      storeUrl: redis.url,
      strictMode: true,
    });
    await home.kill();
    redis.stall();
    const replies = [
      await first.send('GET', '/cart?stalled'),
      await first.send('POST', '/cart/items?stalled', { id: 'never asked for' }),
    ];
    for (const reply of replies) {
      assert.equal(reply?.status, 503);
      assert.match(reply?.headers.get('retry-after') ?? '', /^\d+$/);
    }
    assert.deepEqual(
      site.servers.flatMap((server) => server.requests()).filter((line) => line.includes('stalled')),
      [],
    );
    redis.resume();
    await auditAll(customers);
    assert.equal(first.server, other.id);
    assert.ok(await first.add());
    await auditAll(customers);
  });
});
