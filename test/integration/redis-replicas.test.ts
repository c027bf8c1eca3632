import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { aCommit, aRecord, aTombstone, inHours, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from '../services/eventually.ts';
import { linkTo } from '../services/link-to.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { administer, startRedisReplica } from '../services/redis-replica.ts';
import { openRedisStore } from '../services/redis-store.ts';

const ME = { owner: 'app-1', epoch: 1 };

async function failure(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
  } catch (error) {
    assert.ok(error instanceof StickshiftError, String(error));
    return error.code;
  }
  throw new Error('the operation succeeded');
}

describe('operations that wait for replicas', localRedisRequirement(), () => {
  let primary: LocalRedis;
  let replica: LocalRedis;
  let store: SnapshotStore;
  const cleanups: (() => Promise<void>)[] = [];
  before(async () => {
    // A ping to a replica counts as something that is written.
    primary = await startLocalRedis({ args: ['--repl-ping-replica-period', '50'] });
    replica = await startRedisReplica(primary);
    const opened = await openRedisStore(primary.url, { commandTimeout: 1_000 });
    store = opened.store;
    cleanups.push(primary.stop, replica.stop, opened.close);
  });
  afterEach(() => replica.resume());
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const onReplica = (key: string, field: string) =>
    administer(replica, (client) => client.hget(`stickshift:{${key}}`, field));

  const waits = () =>
    administer(primary, async (client) => {
      const stats = await client.info('commandstats');
      return Number(/cmdstat_wait:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    });
  /** Operations whose WAIT is sent along. */
  const keptUp = () =>
    eventually('the replica keeps up', () =>
      store.commit(newKey(), aCommit({ replicas: 1 })).then(
        () => true,
        () => false,
      ),
    );

  test('are on a replica when they resolve', async () => {
    for (let round = 0; round < 20; round++) {
      const key = newKey();
      assert.deepEqual(await store.commit(key, aCommit({ replicas: 1 })), { outcome: 'committed' });
      assert.equal(await onReplica(key, 'q'), '1');
    }
    const [released, ended, replaced, successor] = [
      await aRecord(store),
      await aRecord(store),
      await aRecord(store),
      newKey(),
    ];
    assert.deepEqual(await store.release(released, { ...ME, replicas: 1 }), { outcome: 'released' });
    assert.equal(await onReplica(released, 's'), 'released');
    const until = inHours(1);
    assert.deepEqual(await store.end(ended, { ...ME, until, replicas: 1 }), { outcome: 'ended' });
    assert.equal(await onReplica(ended, 's'), 'ended');
    const { owner: _, ...commit } = aCommit({ replicas: 1 });
    assert.deepEqual(await store.replace(replaced, { ...ME, until, successor, commit }), {
      outcome: 'replaced',
    });
    assert.equal(await onReplica(replaced, 's'), 'ended');
    assert.equal(await onReplica(successor, 's'), 'active');
  });

  test('are rejected when there are fewer replicas, and stand all the same', async () => {
    const key = newKey();
    assert.equal(await failure(store.commit(key, aCommit({ replicas: 2 }))), 'STORE_NOT_REPLICATED');
    assert.equal((await store.lookup(key))?.seq, 1);
  });

  test('each get what they asked for, and few are not held up by many', async () => {
    const results = await Promise.allSettled(
      [2, 1, 2, 1].map((replicas) => store.commit(newKey(), aCommit({ replicas }))),
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
  });

  test('hold up nobody else while a replica is stuck', async () => {
    replica.stall();
    const waiting = failure(store.commit(newKey(), aCommit({ replicas: 1 })));
    const others = (async () => {
      for (let round = 0; round < 10; round++) {
        await store.commit(newKey(), aCommit());
        assert.deepEqual(await store.lookup(newKey()), undefined);
      }
      return 'the others';
    })();
    assert.equal(await Promise.race([waiting, others]), 'the others');
    assert.equal(await waiting, 'STORE_NOT_REPLICATED');
  });

  test('sent again, write nothing new and wait all the same for what they wrote before', async () => {
    await keptUp();
    replica.stall();
    const [committed, ended] = [await aRecord(store, { seq: 3 }), await aTombstone(store)];
    const commit = () => store.commit(committed, aCommit({ seq: 3, replicas: 1 }));
    const end = () => store.end(ended, { ...ME, until: inHours(1), replicas: 1 });
    assert.deepEqual(await Promise.all([commit(), end()].map(failure)), [
      'STORE_NOT_REPLICATED',
      'STORE_NOT_REPLICATED',
    ]);
    replica.resume();
    assert.deepEqual(await eventually('it is replicated', () => commit().catch(() => undefined)), {
      outcome: 'stale',
      seq: 3,
    });
    assert.equal(await onReplica(committed, 'q'), '3');
    assert.deepEqual(await end(), { outcome: 'ended' });
    assert.equal(await onReplica(ended, 's'), 'ended');
  });

  test('that are refused say so at once, replicas or not', async () => {
    const [fenced, ended] = [await aRecord(store, { owner: 'app-2', epoch: 5 }), await aTombstone(store)];
    const commit = aCommit({ seq: 9, replicas: 16 });
    assert.deepEqual(await store.commit(fenced, commit), { outcome: 'fenced', owner: 'app-2', epoch: 5 });
    assert.deepEqual(await store.commit(ended, commit), { outcome: 'ended' });
    assert.deepEqual(await store.release(newKey(), { ...ME, replicas: 16 }), { outcome: 'absent' });
  });

  test('send their WAIT along, before they are answered, as long as the replica keeps up', async (t) => {
    const { link, url } = await linkTo(t, primary.url);
    const opened = await openRedisStore(url);
    t.after(opened.close);
    const commit = () => opened.store.commit(newKey(), aCommit({ replicas: 1 }));
    await commit();
    link.setTrouble('backward', 'black-hole');
    const before = await waits();
    const committed = commit();
    await eventually('Redis has got the WAIT', async () => (await waits()) > before);
    link.setTrouble('backward', 'none');
    assert.deepEqual(await committed, { outcome: 'committed' });
  });

  test('that are refused do not wait for the WAIT that was sent along', async () => {
    const fenced = await aRecord(store, { owner: 'app-2', epoch: 5 });
    await keptUp();
    replica.stall();
    assert.deepEqual(await store.commit(fenced, aCommit({ replicas: 1 })), {
      outcome: 'fenced',
      owner: 'app-2',
      epoch: 5,
    });
  });

  test('whose script Redis has forgotten wait for what is written when it is sent again', async () => {
    await keptUp();
    await administer(primary, (client) => client.script('FLUSH'));
    // Who asks before anything more is written is told at once that the replica has everything.
    await eventually('the replica has said that it has everything', () =>
      administer(primary, async (client) => {
        const info = await client.info('replication');
        return /,offset=(\d+),/.exec(info)?.[1] === /master_repl_offset:(\d+)/.exec(info)?.[1];
      }),
    );
    replica.stall();
    const key = newKey();
    assert.equal(await failure(store.commit(key, aCommit({ replicas: 1 }))), 'STORE_NOT_REPLICATED');
    assert.equal((await store.lookup(key))?.seq, 1);
    replica.resume();
    await keptUp();
    await administer(primary, (client) => client.script('FLUSH'));
    const again = newKey();
    assert.deepEqual(await store.commit(again, aCommit({ replicas: 1 })), { outcome: 'committed' });
    assert.equal(await onReplica(again, 'q'), '1');
  });

  test('share few WAITs when there are many of them', async () => {
    const before = await waits();
    const count = 500;
    const results = await Promise.all(
      Array.from({ length: count }, () => store.commit(newKey(), aCommit({ replicas: 1 }))),
    );
    assert.ok(results.every(({ outcome }) => outcome === 'committed'));
    assert.ok((await waits()) - before <= count / 10);
  });

  test('are certain to have had no effect while Redis is away, and work again when it is back', async () => {
    const own = await startLocalRedis();
    cleanups.push(own.stop);
    const follower = await startRedisReplica(own);
    cleanups.push(follower.stop);
    const opened = await openRedisStore(own.url, { commandTimeout: 1_000 });
    cleanups.push(opened.close);
    await opened.store.commit(newKey(), aCommit({ replicas: 1 }));

    follower.stall();
    const underWay = failure(opened.store.commit(newKey(), aCommit({ replicas: 1 })));
    // It is written and waits when its server dies.
    await eventually('the commit waits', () =>
      administer(own, async (client) => Number(/blocked_clients:(\d+)/.exec(await client.info())?.[1]) > 0),
    );
    await own.kill();
    assert.equal(await underWay, 'STORE_NOT_REPLICATED');
    await eventually('Redis is known to be away', async () => {
      return (await failure(opened.store.commit(newKey(), aCommit({ replicas: 1 })))) === 'STORE_UNREACHABLE';
    });
    follower.resume();
    await own.restart();
    await eventually('the replica is back', () =>
      opened.store.commit(newKey(), aCommit({ replicas: 1 })).then(
        () => true,
        () => false,
      ),
    );
  });

  test('are refused in a cluster', async () => {
    const cluster = await startRedisCluster();
    cleanups.push(cluster.stop);
    const opened = await openRedisStore(cluster.url);
    cleanups.push(opened.close);
    const key = newKey();
    await assert.rejects(opened.store.commit(key, aCommit({ replicas: 1 })), {
      code: 'STORE_REFUSED',
      message: /replica.*Redis Cluster/,
    });
    assert.equal(await opened.store.lookup(key), undefined);
  });

  test('are warned of when the store is opened for more replicas than there are', async () => {
    for (const [replicas, expected] of [
      [1, []],
      [2, ['no-replicas']],
    ] as const) {
      const opened = await openRedisStore(primary.url, { replicas });
      cleanups.push(opened.close);
      const codes = (await opened.store.check()).map(({ code }) => code);
      assert.deepEqual(
        codes.filter((code) => code !== 'no-persistence'),
        expected,
      );
    }
  });
});
