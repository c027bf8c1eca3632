import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { aCommit, aRecord, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { openRedisStore } from '../services/redis-store.ts';

const requirement = localRedisRequirement();

describe('failover', requirement, () => {
  test('with Sentinel, the store follows to the replica, and the records are there', async () => {
    const redis = await startRedisSentinel();
    after(redis.stop);
    const { store, close } = await openRedisStore(redis.url, { commandTimeout: 1_000 });
    after(close);
    const key = await aRecord(store, { seq: 3 });
    await redis.replicated();
    await redis.primary.kill();

    const record = await eventually('the replica answers', () => store.lookup(key).catch(() => undefined));
    assert.equal(record.seq, 3);
    assert.deepEqual(await store.commit(key, aCommit({ seq: 4 })), { outcome: 'committed' });
  });

  test('of a cluster’s node leaves the others working and is over when it is back', async () => {
    const redis = await startRedisCluster();
    after(redis.stop);
    const { store, close } = await openRedisStore(redis.url, { commandTimeout: 1_000 });
    after(close);
    // Enough sessions that each of the three nodes has some.
    const keys = await Promise.all(Array.from({ length: 60 }, () => aRecord(store)));
    const answered = async () => {
      const found = await Promise.all(
        keys.map((key) =>
          store.lookup(key).then(
            (record) => record !== undefined,
            () => false,
          ),
        ),
      );
      return found.filter(Boolean).length;
    };
    assert.equal(await answered(), 60);

    const node = redis.nodes[1];
    node?.stall();
    const whileStalled = await answered();
    assert.ok(whileStalled > 0 && whileStalled < 60, `${whileStalled} of 60 answered`);
    node?.resume();
    await eventually('all nodes answer', async () => (await answered()) === 60);
    await store.commit(newKey(), aCommit());
  });
});
