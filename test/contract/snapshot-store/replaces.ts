import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { ReplaceRequest } from '../../../store/snapshot-store.ts';
import {
  aCommit,
  aRecord,
  aReleasedRecord,
  aTombstone,
  bytes,
  inAnHour,
  inHours,
  newKey,
  type StoreUnderTest,
} from './sample-records.ts';

export function replaces(store: StoreUnderTest): void {
  describe('replace', () => {
    const until = inHours(2);
    /** A change of ID by app-1, whose old record has epoch 1, unless told otherwise. */
    const aChange = (successor: SessionKey, changes: Partial<ReplaceRequest> = {}): ReplaceRequest => ({
      owner: 'app-1',
      epoch: 1,
      until,
      successor,
      commit: { epoch: 1, seq: 1, snapshot: bytes('logged in'), deadlines: inAnHour() },
      ...changes,
    });
    const unchanged = async (key: SessionKey, work: () => Promise<void>) => {
      const before = await store().read(key);
      await work();
      const after = await store().read(key);
      assert.deepEqual(after && { ...after, ageMs: 0 }, before && { ...before, ageMs: 0 });
    };

    test('writes the snapshot under the new key and leaves a tombstone under the old one', async () => {
      const [key, successor] = [await aRecord(store(), { seq: 4 }), newKey()];
      assert.deepEqual(await store().replace(key, aChange(successor)), { outcome: 'replaced' });
      const old = await store().read(key);
      assert.deepEqual([old?.state, old?.epoch, old?.seq, old?.size], ['ended', 1, 4, 0]);
      assert.deepEqual(old?.deadlines, { idleAt: until, absoluteAt: undefined });
      const record = await store().read(successor);
      assert.deepEqual([record?.state, record?.owner, record?.epoch, record?.seq], ['active', 'app-1', 1, 1]);
      assert.deepEqual(new Uint8Array(record?.snapshot ?? []), bytes('logged in'));
      assert.deepEqual(await store().commit(key, aCommit({ seq: 9 })), { outcome: 'ended' });
    });

    test('works for an old ID that was never committed', async () => {
      const [key, successor] = [newKey(), newKey()];
      assert.deepEqual(await store().replace(key, aChange(successor, { epoch: 0 })), { outcome: 'replaced' });
      assert.equal((await store().lookup(key))?.state, 'ended');
      assert.equal((await store().lookup(successor))?.state, 'active');
    });

    test('sent twice is replaced both times, also when the new record has gone on since', async () => {
      const [key, successor] = [await aRecord(store()), newKey()];
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await store().replace(key, aChange(successor)), { outcome: 'replaced' });
      }
      await store().commit(successor, aCommit({ seq: 5, snapshot: bytes('later') }));
      assert.deepEqual(await store().replace(key, aChange(successor)), { outcome: 'replaced' });
      assert.deepEqual(new Uint8Array((await store().read(successor))?.snapshot ?? []), bytes('later'));
    });

    test('leaves only the tombstone when the new record is the caller’s already', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        const [key, successor] = [await aRecord(store()), await make(store(), { seq: 3 })];
        await unchanged(successor, async () => {
          assert.deepEqual(await store().replace(key, aChange(successor)), { outcome: 'replaced' });
        });
        assert.equal((await store().lookup(key))?.state, 'ended');
      }
    });

    test('commits a newer snapshot to a new record that the caller has', async () => {
      const [key, successor] = [await aRecord(store()), await aRecord(store())];
      const commit = { ...aChange(successor).commit, seq: 2 };
      assert.deepEqual(await store().replace(key, aChange(successor, { commit })), { outcome: 'replaced' });
      assert.equal((await store().lookup(successor))?.seq, 2);
    });

    test('is fenced by another owner or a newer epoch of the old record, and writes nothing', async () => {
      for (const old of [{ owner: 'app-2' }, { epoch: 2 }]) {
        const [key, successor] = [await aRecord(store(), old), newKey()];
        await unchanged(key, async () => {
          const fenced = { outcome: 'fenced', owner: 'app-1', epoch: 1, ...old };
          assert.deepEqual(await store().replace(key, aChange(successor)), fenced);
        });
        assert.equal(await store().lookup(successor), undefined);
      }
    });

    test('is fenced by another owner of the new record, and writes nothing', async () => {
      const [key, successor] = [await aRecord(store()), await aRecord(store(), { owner: 'app-2', epoch: 3 })];
      for (const each of [key, successor]) {
        await unchanged(each, async () => {
          const fenced = { outcome: 'fenced', owner: 'app-2', epoch: 3 };
          assert.deepEqual(await store().replace(key, aChange(successor)), fenced);
        });
      }
    });

    test('of a session that has ended, or to an ID that has, is ended and writes nothing', async () => {
      const [ended, successor] = [await aTombstone(store()), newKey()];
      assert.deepEqual(await store().replace(ended, aChange(successor)), { outcome: 'ended' });
      assert.equal(await store().lookup(successor), undefined);
      const key = await aRecord(store());
      await unchanged(key, async () => {
        assert.deepEqual(await store().replace(key, aChange(ended)), { outcome: 'ended' });
      });
    });

    test('overwrites records of older epochs under both keys', async () => {
      const old = { owner: 'app-2', epoch: 3, seq: 7 };
      const [key, successor] = [await aRecord(store(), old), await aRecord(store(), old)];
      const commit = { ...aChange(successor).commit, epoch: 4 };
      const change = aChange(successor, { epoch: 4, commit });
      assert.deepEqual(await store().replace(key, change), { outcome: 'replaced' });
      const [before, after] = [await store().lookup(key), await store().lookup(successor)];
      assert.deepEqual([before?.state, before?.owner, before?.epoch], ['ended', 'app-1', 4]);
      assert.deepEqual([after?.state, after?.owner, after?.epoch, after?.seq], ['active', 'app-1', 4, 1]);
    });
  });
}
