import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { aCommit, aRecord, inHours, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { administer, demote, promote, replicated, startRedisReplica } from '../services/redis-replica.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { openRedisStore } from '../services/redis-store.ts';
import { TroubledRedis } from '../services/troubled-redis.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(args: readonly string[] = []): Promise<LocalRedis> {
  const redis = await startLocalRedis({ args });
  cleanups.push(redis.stop);
  return redis;
}

/** A process of the installation: its store, and how often it was told that settling begins. */
interface Member {
  readonly store: SnapshotStore;
  begun: number;
}

async function join(url: string, options: Parameters<typeof openRedisStore>[1] = {}): Promise<Member> {
  const { store, close } = await openRedisStore(url, { commandTimeout: 1_000, settle: 3_000, ...options });
  cleanups.push(close);
  const member = { store, begun: 0 };
  store.onSettling(() => member.begun++);
  return member;
}

/** The first answer after trouble, and whether the store was known to be settling when it came. */
async function firstAnswer({ store }: Member): Promise<boolean> {
  const key = newKey();
  return eventually('the store answers', () =>
    store.lookup(key).then(
      () => ({ settling: store.settlingMs > 0 }),
      () => undefined,
    ),
  ).then(({ settling }) => settling);
}

describe('a Redis', localRedisRequirement(), () => {
  test('that was never used does not settle, and neither does one that is only reconnected to', async () => {
    const redis = await start();
    const door = await TroubledRedis.start(redis.url);
    cleanups.push(() => door[Symbol.asyncDispose]());
    const member = await join(door.url);
    assert.equal(member.store.settlingMs, 0);
    const key = await aRecord(member.store);
    door.trouble = 'away';
    await eventually('the connection is gone', () =>
      member.store.lookup(key).then(
        () => false,
        () => true,
      ),
    );
    door.trouble = 'none';
    assert.equal(await firstAnswer(member), false);
    assert.equal(member.begun, 0);
    assert.equal((await join(redis.url)).store.settlingMs, 0);
  });

  for (const [what, args, empty] of [
    ['with what it had on disk', ['--appendonly', 'yes'], false],
    ['empty', [], true],
  ] as const) {
    test(`that is restarted ${what} settles, and every process knows before its first answer`, async () => {
      const redis = await start(args);
      const members = [await join(redis.url), await join(redis.url), await join(redis.url)];
      const [first] = members;
      assert.ok(first);
      const key = await aRecord(first.store);
      await redis.kill();
      const answers = members.map(firstAnswer);
      await redis.restart({ empty });
      assert.deepEqual(await Promise.all(answers), [true, true, true]);
      assert.deepEqual(
        members.map(({ begun }) => begun),
        [1, 1, 1],
      );
      assert.equal((await first.store.lookup(key))?.seq, empty ? undefined : 1);
      // What an owner writes counts already.
      assert.equal((await first.store.commit(key, aCommit({ seq: 2 }))).outcome, 'committed');

      const newcomer = await join(redis.url);
      assert.ok(newcomer.store.settlingMs > 0, 'one who joins now learns of it');
      await eventually('it is over', () => members.every(({ store }) => store.settlingMs === 0));
      assert.equal((await join(redis.url)).store.settlingMs, 0);
    });
  }

  test('whose replica takes over without the last writes settles, and again when the old primary is promoted', async () => {
    const primary = await start();
    const replica = await startRedisReplica(primary);
    cleanups.push(replica.stop);
    const door = await TroubledRedis.start(primary.url);
    cleanups.push(() => door[Symbol.asyncDispose]());
    const members = [await join(door.url), await join(door.url)];
    const [member] = members;
    assert.ok(member);
    const key = await aRecord(member.store);
    await replicated(primary);

    // The replica goes its own way; then the primary acknowledges what the replica will never have.
    await promote(replica);
    assert.deepEqual((await member.store.adopt(key, { owner: 'app-2', ifEpoch: 1 })).outcome, 'adopted');
    door.leadTo(replica.url);
    assert.deepEqual(await Promise.all(members.map(firstAnswer)), [true, true]);
    assert.equal((await member.store.lookup(key))?.epoch, 1);
    const owner = aCommit({ owner: 'app-2', epoch: 2, seq: 2 });
    assert.deepEqual(await member.store.commit(key, owner), { outcome: 'committed' });
    await eventually('it is over', () => members.every(({ store }) => store.settlingMs === 0));

    // The same process as before, but its data is the other's, and it is promoted once more.
    await demote(primary, replica);
    await promote(primary);
    door.leadTo(primary.url);
    assert.deepEqual(await Promise.all(members.map(firstAnswer)), [true, true]);
    assert.deepEqual(
      members.map(({ begun }) => begun),
      [2, 2],
    );
  });

  test('that Sentinel replaces by its replica settles', async () => {
    const redis = await startRedisSentinel();
    cleanups.push(redis.stop);
    const member = await join(redis.url);
    await redis.replicated();
    assert.equal(member.store.settlingMs, 0);
    await redis.primary.kill();
    assert.equal(await firstAnswer(member), true);
    assert.equal(member.begun, 1);
  });

  test('that gets its first replica does not settle', async () => {
    const redis = await start();
    const member = await join(redis.url);
    const replica = await startRedisReplica(redis);
    cleanups.push(replica.stop);
    assert.equal((await join(redis.url)).store.settlingMs, 0);
    assert.equal(member.begun, 0);
  });

  test('that is emptied settles, though no connection breaks, whoever writes to it first', async () => {
    const redis = await start();
    const members = [await join(redis.url), await join(redis.url)];
    await administer(redis, (client) => client.flushall());
    // A process that knows nothing of the past takes it for a new store.
    const newcomer = await join(redis.url);
    await eventually('all know', () => [...members, newcomer].every(({ store }) => store.settlingMs > 0));
    assert.deepEqual(
      members.map(({ begun }) => begun),
      [1, 1],
    );
  });

  test('settles once more for a process that comes back late', async () => {
    const redis = await start();
    const door = await TroubledRedis.start(redis.url);
    cleanups.push(() => door[Symbol.asyncDispose]());
    const settle = { settle: 2_000 };
    const [punctual, late] = [await join(redis.url, settle), await join(door.url, settle)];
    door.trouble = 'away';
    await redis.restart({ empty: true });
    assert.equal(await firstAnswer(punctual), true);
    await eventually('it is over', () => punctual.store.settlingMs === 0);
    door.trouble = 'none';
    assert.equal(await firstAnswer(late), true);
    assert.equal(late.begun, 1);
    await eventually('it has begun again for the other', () => punctual.begun === 2);
  });

  test('is prolonged by its own clock, which may be set back', async () => {
    const redis = await start();
    const member = await join(redis.url);
    await administer(redis, (client) =>
      client.hset('stickshift:lineage', { u: Date.now() + 300_000 + 2_000, a: Date.now() + 300_000 }),
    );
    const { store } = await join(redis.url);
    assert.ok(store.settlingMs > 0 && store.settlingMs <= 2_000, `${store.settlingMs}`);
    await member.store.prolongSettling(4_000);
    assert.ok((await join(redis.url)).store.settlingMs <= 4_000);
  });

  test('does not settle with store.settle 0, and leaves it to the others to find out', async () => {
    const redis = await start();
    const [indifferent, member] = [await join(redis.url, { settle: 0 }), await join(redis.url)];
    await redis.restart({ empty: true });
    assert.equal(await firstAnswer(indifferent), false);
    assert.equal(await firstAnswer(member), true);
    await indifferent.store.prolongSettling(60_000);
    assert.equal(indifferent.store.settlingMs, 0);
  });
});

describe('a Redis Cluster', localRedisRequirement(), () => {
  test('settles when one of its nodes was restarted empty, known before that node’s first answer', async () => {
    const redis = await startRedisCluster();
    cleanups.push(redis.stop);
    const member = await join(redis.url);
    assert.equal(member.store.settlingMs, 0);
    const keys = await Promise.all(Array.from({ length: 30 }, () => aRecord(member.store)));
    const node = redis.nodes[2];
    assert.ok(node);
    const absentUnnoticed = async () => {
      const seen = await Promise.all(
        keys.map((key) =>
          member.store.lookup(key).then(
            (record) => record === undefined && member.store.settlingMs === 0,
            () => false,
          ),
        ),
      );
      return seen.some(Boolean);
    };
    // The cluster's own configuration is in its directory; the data is not.
    await node.restart();
    await eventually('its restart is noticed', async () => {
      assert.equal(await absentUnnoticed(), false);
      return member.begun === 1;
    });
    await eventually('it is over', () => member.store.settlingMs === 0);
  });
});

describe('a store of another installation', localRedisRequirement(), () => {
  test('is refused with every operation, and logged once', async () => {
    const redis = await start();
    const ours = await join(redis.url);
    const key = await aRecord(ours.store);
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => lines.push(line) });
    const { store } = await join(redis.url, { installation: 'another', logger });
    const operations = [
      () => store.lookup(key),
      () => store.commit(key, aCommit({ seq: 2 })),
      () => store.commit(key, aCommit({ seq: 2, replicas: 1 })),
      () => store.end(key, { owner: 'app-1', epoch: 1, until: inHours(1) }),
      () => store.backends(),
      () => store.check(),
    ];
    for (const operation of operations) {
      await assert.rejects(operation(), { code: 'STORE_FOREIGN', message: /fingerprint test.*another/ });
    }
    assert.equal((await ours.store.lookup(key))?.seq, 1);
    assert.equal(lines.length, 1);

    await administer(redis, (client) => client.hdel('stickshift:lineage', 'f'));
    await eventually('it is ours once the fingerprint is gone', () =>
      store.lookup(key).then(
        () => true,
        () => false,
      ),
    );
    await assert.rejects(
      eventually('the former owner notices', () => ours.store.lookup(key).then(() => undefined)),
      { code: 'STORE_FOREIGN' },
    );
  });

  test('is told apart even where the key is nothing that Stickshift wrote', async () => {
    const redis = await start();
    const client = new Redis(redis.url);
    await client.set('stickshift:lineage', 'not ours');
    client.disconnect();
    const { store } = await join(redis.url);
    await assert.rejects(store.lookup(newKey()), { code: 'STORE_REFUSED', message: /WRONGTYPE/ });
  });
});
