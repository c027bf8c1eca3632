import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  aCommit,
  aRecord,
  aReleasedRecord,
  aTombstone,
  bytes,
  inHours,
  newKey,
  type StoreUnderTest,
} from './sample-records.ts';

export function commits(store: StoreUnderTest): void {
  describe('lookup and read', () => {
    test('know nothing of a session that was never committed', async () => {
      assert.equal(await store().lookup(newKey()), undefined);
      assert.equal(await store().read(newKey()), undefined);
    });

    test('tell the same about a record, and only read carries its bytes', async () => {
      const deadlines = { idleAt: inHours(1), absoluteAt: inHours(8) };
      const key = await aRecord(store(), { owner: 'app-2', epoch: 3, seq: 7, deadlines });

      const record = await store().read(key);
      assert.ok(record);
      const { snapshot, committedAt, ageMs, ...rest } = record;
      assert.deepEqual(rest, { state: 'active', owner: 'app-2', epoch: 3, seq: 7, size: 12, deadlines });
      assert.deepEqual(bytes('cart: 1 lamp'), new Uint8Array(snapshot));
      assert.ok(Math.abs(committedAt - Date.now()) < 60_000, 'committedAt is in milliseconds since 1970');
      assert.ok(ageMs >= 0 && ageMs < 60_000);

      const summary = await store().lookup(key);
      assert.ok(summary);
      assert.deepEqual({ ...summary, ageMs }, { ...rest, committedAt, ageMs });
    });

    test('show a released record with its snapshot', async () => {
      const record = await store().read(await aReleasedRecord(store()));
      assert.equal(record?.state, 'released');
      assert.equal(record?.owner, 'app-1');
      assert.equal(record?.size, 12);
    });
  });

  describe('commit', () => {
    test('creates an absent record with the epoch and seq given', async () => {
      const key = newKey();
      assert.deepEqual(await store().commit(key, aCommit({ epoch: 4, seq: 9 })), { outcome: 'committed' });
      const record = await store().lookup(key);
      assert.deepEqual([record?.epoch, record?.seq, record?.owner], [4, 9, 'app-1']);
    });

    test('replaces snapshot, seq and deadlines', async () => {
      const key = await aRecord(store(), { deadlines: { idleAt: inHours(1), absoluteAt: inHours(9) } });
      const deadlines = { idleAt: inHours(2), absoluteAt: undefined };
      const later = aCommit({ seq: 5, snapshot: bytes('empty'), deadlines });
      assert.deepEqual(await store().commit(key, later), { outcome: 'committed' });
      const record = await store().read(key);
      assert.deepEqual([record?.seq, record?.size, record?.deadlines], [5, 5, deadlines]);
      assert.deepEqual(new Uint8Array(record?.snapshot ?? []), bytes('empty'));
    });

    test('is stale when its seq is not greater, and changes nothing', async () => {
      const key = await aRecord(store(), { seq: 5 });
      for (const seq of [1, 4, 5]) {
        const late = aCommit({ seq, snapshot: bytes('late') });
        assert.deepEqual(await store().commit(key, late), { outcome: 'stale', seq: 5 });
      }
      assert.deepEqual(new Uint8Array((await store().read(key))?.snapshot ?? []), bytes('cart: 1 lamp'));
    });

    test('compares seqs as numbers', async () => {
      const key = await aRecord(store(), { seq: 9 });
      assert.deepEqual(await store().commit(key, aCommit({ seq: 10 })), { outcome: 'committed' });
    });

    test('sent twice answers stale with its own seq', async () => {
      const key = newKey();
      const commit = aCommit({ seq: 3 });
      await store().commit(key, commit);
      assert.deepEqual(await store().commit(key, commit), { outcome: 'stale', seq: 3 });
    });

    test('is fenced by another owner or a newer epoch', async () => {
      const key = await aRecord(store(), { epoch: 2 });
      const fenced = { outcome: 'fenced', owner: 'app-1', epoch: 2 };
      assert.deepEqual(await store().commit(key, aCommit({ owner: 'app-2', epoch: 2, seq: 9 })), fenced);
      assert.deepEqual(await store().commit(key, aCommit({ owner: 'app-2', epoch: 1, seq: 9 })), fenced);
      assert.deepEqual(await store().commit(key, aCommit({ epoch: 1, seq: 9 })), fenced);
    });

    test('overwrites a record of an older epoch, whoever owns it: the store forgot an adopt', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        for (const owner of ['app-1', 'app-2']) {
          const key = await make(store(), { epoch: 2, seq: 7 });
          const commit = aCommit({ owner, epoch: 3, seq: 5, snapshot: bytes('newer') });
          assert.deepEqual(await store().commit(key, commit), { outcome: 'committed' });
          assert.deepEqual(await store().commit(key, commit), { outcome: 'stale', seq: 5 });
          const record = await store().read(key);
          assert.deepEqual(
            [record?.state, record?.owner, record?.epoch, record?.seq],
            ['active', owner, 3, 5],
          );
          assert.deepEqual(new Uint8Array(record?.snapshot ?? []), bytes('newer'));
        }
      }
    });

    test('is fenced by a release, even for the owner that released', async () => {
      const key = await aReleasedRecord(store());
      assert.deepEqual(await store().commit(key, aCommit({ seq: 2 })), {
        outcome: 'fenced',
        owner: 'app-1',
        epoch: 1,
      });
    });

    test('cannot bring back an ended session', async () => {
      const key = await aTombstone(store());
      assert.deepEqual(await store().commit(key, aCommit({ seq: 99, epoch: 99 })), { outcome: 'ended' });
      assert.deepEqual(await store().commit(key, aCommit({ seq: 99 })), { outcome: 'ended' });
      assert.equal((await store().read(key))?.state, 'ended');
    });

    test('refuses numbers that are none', async () => {
      for (const broken of [Number.NaN, 1.5, -1, Number.POSITIVE_INFINITY, 2 ** 53]) {
        const deadlines = { idleAt: broken, absoluteAt: undefined };
        await assert.rejects(store().commit(newKey(), aCommit({ seq: broken })), { code: 'INTERNAL' });
        await assert.rejects(store().commit(newKey(), aCommit({ epoch: broken })), { code: 'INTERNAL' });
        await assert.rejects(store().commit(newKey(), aCommit({ deadlines })), { code: 'INTERNAL' });
      }
    });
  });

  describe('touch', () => {
    test('moves the idle deadline and nothing else', async () => {
      const absoluteAt = inHours(9);
      const key = await aRecord(store(), { deadlines: { idleAt: inHours(1), absoluteAt } });
      const before = await store().read(key);
      const idleAt = inHours(3);
      const touch = { owner: 'app-1', epoch: 1, deadlines: { idleAt, absoluteAt } };
      assert.deepEqual(await store().touch(key, touch), { outcome: 'touched' });
      // Sent twice, it does the same.
      assert.deepEqual(await store().touch(key, touch), { outcome: 'touched' });
      const after = await store().read(key);
      assert.deepEqual({ ...after, ageMs: 0 }, { ...before, ageMs: 0, deadlines: { idleAt, absoluteAt } });
    });

    test('never moves the absolute deadline', async () => {
      const absoluteAt = inHours(2);
      const key = await aRecord(store(), { deadlines: { idleAt: inHours(1), absoluteAt } });
      const deadlines = { idleAt: inHours(1), absoluteAt: inHours(99) };
      await store().touch(key, { owner: 'app-1', epoch: 1, deadlines });
      assert.equal((await store().lookup(key))?.deadlines.absoluteAt, absoluteAt);
    });

    test('is refused to all but the active owner', async () => {
      const { deadlines } = aCommit();
      const touch = { owner: 'app-1', epoch: 1, deadlines };
      const fenced = { outcome: 'fenced', owner: 'app-1', epoch: 1 };
      const key = await aRecord(store());
      assert.deepEqual(await store().touch(key, { ...touch, owner: 'app-2' }), fenced);
      assert.deepEqual(await store().touch(await aReleasedRecord(store()), touch), fenced);
      assert.deepEqual(await store().touch(await aTombstone(store()), touch), { outcome: 'ended' });
      assert.deepEqual(await store().touch(newKey(), touch), { outcome: 'absent' });
      const newer = await aRecord(store(), { epoch: 2 });
      assert.deepEqual(await store().touch(newer, touch), { ...fenced, epoch: 2 });
    });

    test('finds a record of an older epoch absent, and leaves it', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        const key = await make(store(), { epoch: 2 });
        const before = await store().lookup(key);
        const touch = { owner: 'app-1', epoch: 3, deadlines: { idleAt: inHours(7), absoluteAt: undefined } };
        assert.deepEqual(await store().touch(key, touch), { outcome: 'absent' });
        assert.deepEqual({ ...(await store().lookup(key)), ageMs: 0 }, { ...before, ageMs: 0 });
      }
    });
  });
}
