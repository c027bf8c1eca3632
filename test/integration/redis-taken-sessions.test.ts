import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { forSubscription, newClient } from '../../store/redis/new-client.ts';
import { parseRedisUrl } from '../../store/redis/redis-url.ts';
import { TakenSubscription } from '../../store/redis/taken-subscription.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { aRecord, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startLocalRedis } from '../services/redis-process.ts';
import { administer } from '../services/redis-replica.ts';
import { cleanups, failure, open, SHORT } from '../services/redis-store-under-test.ts';

describe('a watch of taken sessions', { ...localRedisRequirement() }, () => {
  function watch(store: SnapshotStore) {
    const heard = { keys: [] as string[], missed: 0 };
    const watching = store.watchTaken('app-1', {
      taken: (keys) => heard.keys.push(...keys),
      missed: () => heard.missed++,
    });
    cleanups.push(async () => watching.stop());
    return { heard, watching };
  }

  test('stands still while Redis is away, and says afterwards that it missed something', async () => {
    const redis = await startLocalRedis({ args: ['--appendonly', 'yes'] });
    cleanups.push(redis.stop);
    const store = await open(redis.url);
    const key = await aRecord(store);
    const { heard, watching } = watch(store);
    await eventually('it begins', () => heard.missed === 1 && watching.heardUntil > 0);
    await redis.kill();
    const killed = performance.now();
    await eventually('Redis is known to be away', async () => {
      return (await store.lookup(key).catch(() => 'away')) === 'away';
    });
    assert.ok(watching.heardUntil <= killed);
    await redis.restart();
    await eventually('it has begun again', () => heard.missed === 2 && watching.heardUntil > killed);
    await store.adopt(key, { owner: 'app-2', ifEpoch: 1 });
    await eventually('the key is told', () => heard.keys.length > 0);
    assert.deepEqual(heard.keys, [key]);
  });

  test('that a stalled Redis does not answer stands still as well', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const { heard, watching } = watch(await open(redis.url, SHORT));
    await eventually('it begins', () => watching.heardUntil > 0);
    redis.stall();
    const stalled = performance.now();
    const other = watch(await open(redis.url, SHORT));
    // As long as it takes to give up a connection.
    await eventually('the connection is given up', async () => {
      const store = await open(redis.url, SHORT);
      return (await failure(store.lookup(newKey()))).code === 'STORE_UNREACHABLE';
    });
    assert.ok(watching.heardUntil <= stalled);
    assert.deepEqual([other.heard.missed, other.watching.heardUntil], [0, 0]);
    redis.resume();
    await eventually('both are up to date', () => {
      return [watching, other.watching].every(({ heardUntil }) => heardUntil > stalled);
    });
    assert.ok(heard.missed >= 1);
  });
});

describe('a subscription to what is taken', { ...localRedisRequirement() }, () => {
  test('counts only as long as it is to the server that operations go to', async () => {
    const redis = await startLocalRedis();
    cleanups.push(redis.stop);
    const client = newClient(parseRedisUrl(redis.url), 1_000, forSubscription);
    assert.ok(client instanceof Redis);
    let begun = 0;
    let identities: readonly string[] | undefined;
    const watcher = { taken: () => undefined, missed: () => begun++ };
    const logger = pino({ level: 'silent' });
    const options = { owner: 'app-1', watcher, identities: () => identities, logger };
    const subscription = new TakenSubscription(client, 0, options);
    cleanups.push(async () => subscription.stop());
    await eventually('it begins', () => begun === 1);
    identities = ['the run ID of another:0:-1'];
    await eventually('it looks for the other', () => begun === 3);
    assert.equal(subscription.heardUntil, 0);
    const [, runId] = /run_id:(\w+)/.exec(await administer(redis, (admin) => admin.info())) ?? [];
    identities = ['the run ID of another:0:-1', `${runId}:0:-1`];
    await eventually('it has found it', () => subscription.heardUntil > 0);
  });
});
