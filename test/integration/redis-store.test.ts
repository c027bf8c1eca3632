import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import {
  aCommit,
  anAnnouncement,
  aRecord,
  inAnHour,
  inHours,
  newKey,
} from '../contract/snapshot-store/sample-records.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { cleanups, failure, open, works } from '../services/redis-store-under-test.ts';

describe('a Redis that refuses', { ...localRedisRequirement() }, () => {
  let redis: LocalRedis;
  let admin: Redis;
  before(async () => {
    redis = await startLocalRedis();
    admin = new Redis(redis.url);
  });
  after(async () => {
    admin.disconnect();
    await redis.stop();
  });

  test('because it is full takes no snapshot, but still lets sessions move, end and be read', async () => {
    const store = await open(redis.url);
    const [moved, touched, released, ended] = [
      await aRecord(store),
      await aRecord(store),
      await aRecord(store),
      await aRecord(store),
    ];
    await admin.config('SET', 'maxmemory', '1');
    try {
      const error = await failure(store.commit(newKey(), aCommit()));
      assert.equal(error.code, 'STORE_REFUSED');
      assert.match(error.message, /OOM/);
      const me = { owner: 'app-1', epoch: 1 };
      assert.equal((await store.read(moved))?.seq, 1);
      assert.equal((await store.adopt(moved, { owner: 'app-2', ifEpoch: 1 })).outcome, 'adopted');
      assert.equal((await store.touch(touched, { ...me, deadlines: inAnHour() })).outcome, 'touched');
      assert.equal((await store.release(released, me)).outcome, 'released');
      assert.equal((await store.end(ended, { ...me, until: inHours(1) })).outcome, 'ended');
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
    await works(store);
  });

  test('because it became a replica is left for the primary', async () => {
    const store = await open(redis.url);
    await store.check();
    await admin.replicaof('127.0.0.1', '1');
    const error = await failure(store.commit(newKey(), aCommit()));
    assert.equal(error.code, 'STORE_REFUSED');
    assert.match(error.message, /READONLY/);
    await admin.replicaof('NO', 'ONE');
    await works(store);
  });

  test('because the key holds something else changes nothing', async () => {
    const store = await open(redis.url);
    const [text, hash] = [newKey(), newKey()];
    await admin.set(`stickshift:{${text}}`, 'not ours');
    assert.equal((await failure(store.commit(text, aCommit()))).code, 'STORE_REFUSED');
    assert.equal((await failure(store.lookup(text))).code, 'STORE_REFUSED');
    assert.equal(await admin.get(`stickshift:{${text}}`), 'not ours');

    await admin.hset(`stickshift:{${hash}}`, { s: 'active', o: 'app-1', e: 'three' });
    assert.equal((await failure(store.commit(hash, aCommit()))).code, 'STORE_INVALID');
    assert.equal((await failure(store.adopt(hash, { owner: 'app-1', ifEpoch: 3 }))).code, 'STORE_INVALID');
  });

  test('an expired record that Redis has not removed yet is absent all the same', async () => {
    const store = await open(redis.url);
    const key = await aRecord(store, { epoch: 7, seq: 7 });
    await admin.hset(`stickshift:{${key}}`, 'i', Date.now() - 1);
    await admin.persist(`stickshift:{${key}}`);
    assert.equal(await store.lookup(key), undefined);
    assert.deepEqual(await store.adopt(key, { owner: 'app-2', ifEpoch: 7 }), { outcome: 'absent' });
    assert.deepEqual(await store.commit(key, aCommit()), { outcome: 'committed' });
    assert.equal((await store.lookup(key))?.epoch, 1);
  });

  test('a record is removed by Redis itself at its earlier deadline', async () => {
    const store = await open(redis.url);
    const deadlines = { idleAt: inHours(3), absoluteAt: inHours(2) };
    const key = await aRecord(store, { deadlines });
    assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), deadlines.absoluteAt);
    for (const [idleAt, expected] of [
      [inHours(4), deadlines.absoluteAt],
      [deadlines.idleAt - 7_200_000, deadlines.idleAt - 7_200_000],
    ] as const) {
      await store.touch(key, { owner: 'app-1', epoch: 1, deadlines: { ...deadlines, idleAt } });
      assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), expected);
    }
    const until = inHours(9);
    await store.end(key, { owner: 'app-1', epoch: 1, until });
    assert.equal(await admin.pexpiretime(`stickshift:{${key}}`), until);
  });

  test('a malformed announcement is skipped', async () => {
    const store = await open(redis.url);
    await admin.zadd('stickshift:backends', Date.now() + 60_000, 'shop/broken');
    await admin.set('stickshift:backend:shop/broken', '{"id":');
    await store.announce(anAnnouncement, 60_000);
    assert.deepEqual(await store.backends(), [anAnnouncement]);
  });
});

describe('check', { ...localRedisRequirement() }, () => {
  const codes = async (args: readonly string[]) => {
    const redis = await startLocalRedis({ args });
    cleanups.push(redis.stop);
    return (await (await open(redis.url)).check()).map((warning) => warning.code);
  };

  test('warns of a server that keeps nothing on disk', async () => {
    assert.deepEqual(await codes([]), ['no-persistence']);
  });

  test('is content with append-only files or with saves', async () => {
    assert.deepEqual(await codes(['--appendonly', 'yes']), []);
    assert.deepEqual(await codes(['--save', '60 1']), []);
  });

  test('warns of a policy that evicts', async () => {
    const args = ['--appendonly', 'yes', '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'];
    assert.deepEqual(await codes(args), ['eviction']);
  });

  test('warns of a server that is nearly full', async () => {
    const args = ['--appendonly', 'yes', '--maxmemory', '1kb', '--maxmemory-policy', 'noeviction'];
    assert.deepEqual(await codes(args), ['nearly-full']);
  });

  test('does without CONFIG where it is forbidden', async () => {
    assert.deepEqual(await codes(['--rename-command', 'CONFIG', '""']), []);
  });
});
