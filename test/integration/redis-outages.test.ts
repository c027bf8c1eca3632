import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { findPorts } from '../../demo/ports.ts';
import {
  aCommit,
  anAnnouncement,
  aRecord,
  inAnHour,
  inHours,
  newKey,
} from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startLocalRedis } from '../services/redis-process.ts';
import { openRedisStore } from '../services/redis-store.ts';
import { cleanups, failure, open, SHORT, works } from '../services/redis-store-under-test.ts';

describe('a Redis that cannot be reached', () => {
  test('rejects every operation as unreachable, at once and safe to send again', async () => {
    const store = await open(`redis://127.0.0.1:${(await findPorts(1))[0]}`);
    const me = { owner: 'app-1', epoch: 1 };
    const operations = [
      () => store.lookup(newKey()),
      () => store.read(newKey()),
      () => store.commit(newKey(), aCommit()),
      () => store.touch(newKey(), { ...me, deadlines: inAnHour() }),
      () => store.release(newKey(), me),
      () => store.adopt(newKey(), { owner: 'app-1', ifEpoch: 1 }),
      () => store.end(newKey(), { ...me, until: inHours(1) }),
      () => store.commit(newKey(), aCommit({ replicas: 1 })),
      () => store.prolongSettling(1_000),
      () => store.withdraw(anAnnouncement),
      () => store.backendStates('shop'),
      () => store.backends(),
      () => store.check(),
    ];
    for (const operation of operations) {
      const error = await failure(operation());
      assert.equal(error.code, 'STORE_UNREACHABLE');
      assert.equal(error.retrySafe, true);
      assert.match(error.message, /ECONNREFUSED/);
    }
  });

  test('is used as soon as it starts', { ...localRedisRequirement() }, async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    await redis.kill();
    const store = await open(redis.url);
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
    await redis.restart();
    await works(store);
  });

  test('says so of a closed store', async () => {
    const { store, close } = await openRedisStore(`redis://127.0.0.1:${(await findPorts(1))[0]}`);
    await close();
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_UNREACHABLE');
  });
});

describe('a Redis that fails', { ...localRedisRequirement() }, () => {
  test('and is killed with an operation under way leaves its outcome unknown, then works again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    await store.check();
    redis.stall();
    const underWay = failure(store.commit(newKey(), aCommit()));
    // The command is written in the next turn of the event loop; then the server dies without having answered.
    setTimeout(() => void redis.kill(), 100);
    const error = await underWay;
    assert.equal(error.code, 'STORE_TIMEOUT');
    assert.equal(error.retrySafe, false);
    await redis.restart();
    await works(store);
  });

  test('stalls: every operation times out or is unreachable, none waits, and it works again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url, SHORT);
    await store.check();
    redis.stall();
    assert.equal((await failure(store.lookup(newKey()))).code, 'STORE_TIMEOUT');
    // A server that stays silent is given up; then nothing is written to it any more.
    await eventually('the connection is given up', async () => {
      const { code } = await failure(store.commit(newKey(), aCommit()));
      assert.ok(code === 'STORE_TIMEOUT' || code === 'STORE_UNREACHABLE', code);
      return code === 'STORE_UNREACHABLE';
    });
    redis.resume();
    await works(store);
  });

  test('answers all of many operations in a stall within the time of one', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url, SHORT);
    await store.check();
    redis.stall();
    // Those sent later wait for the pipeline of the first; their timeout still counts from when they were asked for.
    const early = failure(store.lookup(newKey()));
    await new Promise((resolve) => setImmediate(resolve));
    const late = Promise.all(Array.from({ length: 50 }, () => failure(store.lookup(newKey()))));
    assert.equal((await early).code, 'STORE_TIMEOUT');
    const asMuchLater = failure(store.lookup(newKey()));
    const first = await Promise.race([late, asMuchLater.then(() => 'those sent later')]);
    assert.ok(Array.isArray(first));
    for (const error of first) assert.equal(error.code, 'STORE_TIMEOUT');
    await asMuchLater;
    redis.resume();
  });

  test('loses its scripts with its memory and gets them again', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    const key = await aRecord(store);
    const admin = new Redis(redis.url);
    await admin.script('FLUSH');
    admin.disconnect();
    assert.equal((await store.lookup(key))?.seq, 1);
  });
});
