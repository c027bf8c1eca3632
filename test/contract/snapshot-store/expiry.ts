import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { SnapshotStore } from '../../../store/snapshot-store.ts';
import { eventually } from '../../services/eventually.ts';
import { aCommit, aRecord, inAnHour, inHours, newKey, type StoreUnderTest } from './sample-records.ts';

/** Long enough for a test to see the record, short enough to wait for its end. */
const SOON_MS = 1_000;

export function expiry(store: StoreUnderTest): void {
  describe('expiry', () => {
    const soon = () => ({ idleAt: Date.now() + SOON_MS, absoluteAt: undefined });

    test('removes a session at its idle deadline', async () => {
      const key = await aRecord(store(), { deadlines: soon() });
      assert.ok(await store().lookup(key));
      await gone(store(), key);
      assert.equal(await store().read(key), undefined);
    });

    test('removes a session at its absolute deadline, however often it is touched', async () => {
      const absoluteAt = Date.now() + SOON_MS;
      const key = await aRecord(store(), { deadlines: { idleAt: inHours(1), absoluteAt } });
      // Even a touch that knows of no absolute deadline leaves it standing.
      for (const deadlines of [
        { idleAt: inHours(2), absoluteAt },
        { idleAt: inHours(2), absoluteAt: undefined },
      ]) {
        const result = await store().touch(key, { owner: 'app-1', epoch: 1, deadlines });
        assert.deepEqual(result, { outcome: 'touched' });
      }
      await gone(store(), key);
    });

    test('follows a touch that brings the deadline nearer', async () => {
      const key = await aRecord(store());
      await store().touch(key, { owner: 'app-1', epoch: 1, deadlines: soon() });
      await gone(store(), key);
    });

    test('follows a commit that puts the deadline off', async () => {
      const key = await aRecord(store(), { deadlines: soon() });
      const shortLived = await aRecord(store(), { deadlines: soon() });
      await store().commit(key, aCommit({ seq: 2, deadlines: inAnHour() }));
      // When the other one is gone, this one would be too.
      await gone(store(), shortLived);
      assert.equal((await store().lookup(key))?.seq, 2);
    });

    test('takes deadlines as far away as numbers go', async () => {
      const never = { idleAt: Number.MAX_SAFE_INTEGER, absoluteAt: Number.MAX_SAFE_INTEGER };
      const key = await aRecord(store(), { deadlines: never });
      await store().touch(key, { owner: 'app-1', epoch: 1, deadlines: never });
      assert.deepEqual((await store().lookup(key))?.deadlines, never);
      await store().end(key, { owner: 'app-1', epoch: 1, until: never.idleAt });
      assert.equal((await store().lookup(key))?.deadlines.idleAt, never.idleAt);
    });

    test('removes a tombstone when its time is over', async () => {
      const key = newKey();
      await store().end(key, { owner: 'app-1', epoch: 1, until: Date.now() + SOON_MS });
      assert.equal((await store().lookup(key))?.state, 'ended');
      await gone(store(), key);
      assert.deepEqual(await store().commit(key, aCommit()), { outcome: 'committed' });
    });

    test('goes on after adopt and release as before', async () => {
      const [adopted, released] = [
        await aRecord(store(), { deadlines: soon() }),
        await aRecord(store(), { deadlines: soon() }),
      ];
      assert.equal((await store().adopt(adopted, { owner: 'app-2', ifEpoch: 1 })).outcome, 'adopted');
      assert.equal((await store().release(released, { owner: 'app-1', epoch: 1 })).outcome, 'released');
      await gone(store(), adopted);
      await gone(store(), released);
    });

    test('makes a session absent for every operation', async () => {
      const expired = async () => {
        const key = newKey();
        await store().commit(
          key,
          aCommit({ epoch: 5, seq: 5, deadlines: { idleAt: 1, absoluteAt: undefined } }),
        );
        return key;
      };
      const me = { owner: 'app-2', epoch: 1 };
      assert.equal(await store().lookup(await expired()), undefined);
      assert.equal(await store().read(await expired()), undefined);
      assert.deepEqual(await store().touch(await expired(), { ...me, deadlines: inAnHour() }), {
        outcome: 'absent',
      });
      assert.deepEqual(await store().release(await expired(), me), { outcome: 'absent' });
      assert.deepEqual(await store().adopt(await expired(), { owner: 'app-2', ifEpoch: 5 }), {
        outcome: 'absent',
      });
      assert.deepEqual(await store().commit(await expired(), aCommit({ ...me })), { outcome: 'committed' });
      assert.deepEqual(await store().end(await expired(), { ...me, until: inHours(1) }), {
        outcome: 'ended',
      });
    });
  });
}

async function gone(store: SnapshotStore, key: SessionKey): Promise<void> {
  await eventually('the record expires', async () => (await store.lookup(key)) === undefined);
}
