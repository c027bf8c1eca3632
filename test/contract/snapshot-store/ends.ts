import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  aCommit,
  aRecord,
  aReleasedRecord,
  aTombstone,
  inHours,
  newKey,
  type StoreUnderTest,
} from './sample-records.ts';

export function ends(store: StoreUnderTest): void {
  describe('end', () => {
    test('leaves a tombstone with the record’s owner, epoch and seq, and no bytes', async () => {
      const key = await aRecord(store(), { epoch: 3, seq: 7 });
      const until = inHours(2);
      assert.deepEqual(await store().end(key, { owner: 'app-1', epoch: 3, until }), { outcome: 'ended' });
      const record = await store().read(key);
      assert.ok(record);
      const { state, owner, epoch, seq, size, deadlines } = record;
      assert.deepEqual(
        { state, owner, epoch, seq, size },
        { state: 'ended', owner: 'app-1', epoch: 3, seq: 7, size: 0 },
      );
      assert.deepEqual(deadlines, { idleAt: until, absoluteAt: undefined });
      assert.equal(record.snapshot.length, 0);
    });

    test('works on a session that the last owner has released', async () => {
      const key = await aReleasedRecord(store());
      assert.deepEqual(await store().end(key, { owner: 'app-1', epoch: 1, until: inHours(1) }), {
        outcome: 'ended',
      });
      assert.equal((await store().lookup(key))?.state, 'ended');
    });

    test('leaves a tombstone where there was no record, so that a late commit finds it', async () => {
      for (const epoch of [0, 3]) {
        const key = newKey();
        assert.deepEqual(await store().end(key, { owner: 'app-1', epoch, until: inHours(1) }), {
          outcome: 'ended',
        });
        const record = await store().lookup(key);
        assert.deepEqual([record?.state, record?.epoch, record?.seq], ['ended', epoch, 0]);
      }
    });

    test('without an epoch ends only a session that nobody else has', async () => {
      const end = { owner: 'app-1', epoch: 0, until: inHours(1) };
      const mine = await aRecord(store(), { epoch: 6 });
      assert.deepEqual(await store().end(mine, end), { outcome: 'ended' });
      for (const make of [aRecord, aReleasedRecord]) {
        const others = await make(store(), { owner: 'app-2', epoch: 6 });
        assert.deepEqual(await store().end(others, end), { outcome: 'fenced', owner: 'app-2', epoch: 6 });
        assert.notEqual((await store().lookup(others))?.state, 'ended');
      }
    });

    test('takes the place of a record of an older epoch, whoever owns it', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        const key = await make(store(), { owner: 'app-2', epoch: 3, seq: 7 });
        const end = { owner: 'app-1', epoch: 4, until: inHours(1) };
        assert.deepEqual(await store().end(key, end), { outcome: 'ended' });
        const record = await store().lookup(key);
        assert.deepEqual(
          [record?.state, record?.owner, record?.epoch, record?.seq],
          ['ended', 'app-1', 4, 7],
        );
      }
    });

    test('that stood before is written again whatever the record says', async () => {
      const end = { owner: 'app-1', epoch: 2, until: inHours(1), stood: true };
      for (const make of [aRecord, aReleasedRecord]) {
        const key = await make(store(), { owner: 'app-2', epoch: 6, seq: 7 });
        assert.deepEqual(await store().end(key, end), { outcome: 'ended' });
        const record = await store().lookup(key);
        // No epoch is given away a second time.
        assert.deepEqual([record?.state, record?.epoch, record?.size], ['ended', 6, 0]);
        assert.deepEqual(await store().commit(key, aCommit({ epoch: 9, seq: 9 })), { outcome: 'ended' });
      }
      const absent = newKey();
      assert.deepEqual(await store().end(absent, end), { outcome: 'ended' });
      assert.deepEqual((await store().lookup(absent))?.state, 'ended');
    });

    test('that stood before and has run out meanwhile leaves what has begun since alone', async () => {
      const key = await aRecord(store(), { owner: 'app-2', epoch: 1 });
      const end = { owner: 'app-1', epoch: 0, until: Date.now() - 1_000, stood: true };
      assert.deepEqual(await store().end(key, end), { outcome: 'ended' });
      assert.equal((await store().lookup(key))?.state, 'active');
    });

    test('is fenced by another owner or a newer epoch', async () => {
      const key = await aRecord(store(), { epoch: 2 });
      const fenced = { outcome: 'fenced', owner: 'app-1', epoch: 2 };
      const until = inHours(1);
      assert.deepEqual(await store().end(key, { owner: 'app-2', epoch: 2, until }), fenced);
      assert.deepEqual(await store().end(key, { owner: 'app-1', epoch: 1, until }), fenced);
      assert.equal((await store().lookup(key))?.state, 'active');
    });

    test('again prolongs a tombstone and never shortens it', async () => {
      const key = await aTombstone(store());
      const until = inHours(5);
      for (const each of [until, inHours(3)]) {
        const end = { owner: 'app-2', epoch: 9, until: each };
        assert.deepEqual(await store().end(key, end), { outcome: 'ended' });
      }
      const record = await store().lookup(key);
      assert.deepEqual([record?.owner, record?.epoch, record?.deadlines.idleAt], ['app-1', 1, until]);
    });
  });
}
