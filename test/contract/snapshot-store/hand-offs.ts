import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionKey } from '../../../protocol/session-key.ts';
import {
  aCommit,
  aRecord,
  aReleasedRecord,
  aTombstone,
  bytes,
  inAnHour,
  newKey,
  type StoreUnderTest,
} from './sample-records.ts';

export function handOffs(store: StoreUnderTest): void {
  describe('release', () => {
    const mine = { owner: 'app-1', epoch: 1 };
    const fencedByMe = { outcome: 'fenced', ...mine };
    const final = (seq: number) => ({ seq, snapshot: bytes(`final ${seq}`), deadlines: inAnHour() });

    test('gives a record up without touching its snapshot', async () => {
      const key = await aRecord(store());
      const before = await store().read(key);
      assert.deepEqual(await store().release(key, mine), { outcome: 'released' });
      const after = await store().read(key);
      assert.deepEqual({ ...after, ageMs: 0 }, { ...before, ageMs: 0, state: 'released' });
    });

    test('writes a final commit in the same step', async () => {
      const key = await aRecord(store());
      const release = { ...mine, final: final(2) };
      assert.deepEqual(await store().release(key, release), { outcome: 'released' });
      const record = await store().read(key);
      assert.deepEqual(
        [record?.state, record?.seq, record?.owner, record?.epoch],
        ['released', 2, 'app-1', 1],
      );
      assert.deepEqual(new Uint8Array(record?.snapshot ?? []), bytes('final 2'));
    });

    test('sent twice is released both times', async () => {
      const plain = await aRecord(store());
      const withFinal = await aRecord(store());
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await store().release(plain, mine), { outcome: 'released' });
        const release = { ...mine, final: final(2) };
        assert.deepEqual(await store().release(withFinal, release), { outcome: 'released' });
      }
      assert.equal((await store().lookup(withFinal))?.seq, 2);
    });

    test('creates a record from a final commit that has none yet', async () => {
      const key = newKey();
      assert.deepEqual(await store().release(key, { ...mine, final: final(1) }), { outcome: 'released' });
      assert.equal((await store().read(key))?.state, 'released');
    });

    test('of a session that is not there is absent', async () => {
      assert.deepEqual(await store().release(newKey(), mine), { outcome: 'absent' });
    });

    test('with an old final commit is stale and leaves the record active', async () => {
      const key = await aRecord(store(), { seq: 5 });
      for (const seq of [4, 5]) {
        const release = { ...mine, final: final(seq) };
        assert.deepEqual(await store().release(key, release), { outcome: 'stale', seq: 5 });
      }
      assert.equal((await store().lookup(key))?.state, 'active');
    });

    test('never claims to have kept a change that came after the release', async () => {
      const key = await aReleasedRecord(store());
      assert.deepEqual(await store().release(key, { ...mine, final: final(2) }), fencedByMe);
      assert.equal((await store().lookup(key))?.seq, 1);
    });

    test('of a record of an older epoch is absent, or writes its final commit', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        const key = await make(store(), { owner: 'app-2', epoch: 3, seq: 7 });
        const release = { owner: 'app-1', epoch: 4 };
        assert.deepEqual(await store().release(key, release), { outcome: 'absent' });
        assert.equal((await store().lookup(key))?.epoch, 3);
        for (let round = 0; round < 2; round++) {
          assert.deepEqual(await store().release(key, { ...release, final: final(5) }), {
            outcome: 'released',
          });
        }
        const record = await store().lookup(key);
        assert.deepEqual(
          [record?.state, record?.owner, record?.epoch, record?.seq],
          ['released', 'app-1', 4, 5],
        );
      }
    });

    test('is fenced by another owner or a newer epoch, and by a tombstone', async () => {
      const key = await aRecord(store());
      assert.deepEqual(await store().release(key, { owner: 'app-2', epoch: 1 }), fencedByMe);
      const newer = await aRecord(store(), { epoch: 2 });
      for (const release of [mine, { ...mine, final: final(9) }]) {
        assert.deepEqual(await store().release(newer, release), { ...fencedByMe, epoch: 2 });
      }
      assert.deepEqual(await store().release(key, { owner: 'app-2', epoch: 1, final: final(9) }), fencedByMe);
      assert.equal((await store().lookup(key))?.seq, 1);
      const ended = await aTombstone(store());
      assert.deepEqual(await store().release(ended, { ...mine, final: final(9) }), { outcome: 'ended' });
    });
  });

  describe('adopt', () => {
    test('makes the caller the owner with the next epoch and hands it the snapshot', async () => {
      for (const make of [aRecord, aReleasedRecord]) {
        const key = await make(store(), { seq: 4 });
        const before = await store().read(key);
        assert.ok(before);
        const result = await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
        assert.equal(result.outcome, 'adopted');
        assert.ok(result.outcome === 'adopted');
        const expected = { ...before, state: 'active', owner: 'app-2', epoch: 2, ageMs: 0 };
        assert.deepEqual({ ...result.record, ageMs: 0 }, expected);
        assert.deepEqual({ ...(await store().read(key)), ageMs: 0 }, expected);
      }
    });

    test('says whether the session was taken from an owner that may not know it', async () => {
      const isTaken = async (key: SessionKey, owner: string) => {
        const result = await store().adopt(key, { owner, ifEpoch: 1 });
        return result.outcome === 'adopted' && result.taken;
      };
      assert.equal(await isTaken(await aRecord(store()), 'app-2'), true);
      assert.equal(await isTaken(await aReleasedRecord(store()), 'app-2'), false);
      assert.equal(await isTaken(await aRecord(store()), 'app-1'), false);
    });

    test('lets the new owner commit and fences the old one', async () => {
      const key = await aRecord(store());
      await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
      const fenced = { outcome: 'fenced', owner: 'app-2', epoch: 2 };
      assert.deepEqual(await store().commit(key, aCommit({ seq: 2 })), fenced);
      assert.deepEqual(await store().release(key, { owner: 'app-1', epoch: 1 }), fenced);
      const commit = aCommit({ owner: 'app-2', epoch: 2, seq: 2 });
      assert.deepEqual(await store().commit(key, commit), { outcome: 'committed' });
    });

    test('goes on with the seq of the owner before', async () => {
      const key = await aRecord(store(), { seq: 8 });
      await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
      const late = aCommit({ owner: 'app-2', epoch: 2, seq: 8 });
      assert.deepEqual(await store().commit(key, late), { outcome: 'stale', seq: 8 });
    });

    test('by the owner itself is a new epoch too', async () => {
      const key = await aRecord(store());
      const result = await store().adopt(key, { owner: 'app-1', ifEpoch: 1 });
      assert.ok(result.outcome === 'adopted');
      assert.equal(result.record.epoch, 2);
    });

    test('with an outdated epoch says where the session is, without its bytes', async () => {
      const key = await aRecord(store(), { owner: 'app-3', epoch: 5, seq: 2 });
      for (const ifEpoch of [0, 4, 6]) {
        const result = await store().adopt(key, { owner: 'app-2', ifEpoch });
        assert.ok(result.outcome === 'moved');
        const { owner, epoch, seq, state, size } = result.record;
        assert.deepEqual([owner, epoch, seq, state, size], ['app-3', 5, 2, 'active', 12]);
        assert.ok(!('snapshot' in result.record));
      }
    });

    test('sent twice answers moved with the caller as owner and the epoch it asked for', async () => {
      const key = await aRecord(store());
      await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
      const again = await store().adopt(key, { owner: 'app-2', ifEpoch: 1 });
      assert.ok(again.outcome === 'moved');
      assert.deepEqual([again.record.owner, again.record.epoch], ['app-2', 2]);
    });

    test('finds neither an absent nor an ended session', async () => {
      const adopt = { owner: 'app-2', ifEpoch: 1 };
      assert.deepEqual(await store().adopt(newKey(), adopt), { outcome: 'absent' });
      assert.deepEqual(await store().adopt(await aTombstone(store()), adopt), { outcome: 'ended' });
    });
  });
}
