import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SnapshotStore } from '../../../store/snapshot-store.ts';
import { aCommit, aRecord, bytes, newKey, type StoreUnderTest } from './sample-records.ts';

export function concurrency(first: StoreUnderTest, second: StoreUnderTest): void {
  describe('concurrency', () => {
    const either = (index: number): SnapshotStore => (index % 2 === 0 ? first() : second());

    test('of many adopts with the same epoch exactly one wins, and the others learn who', async () => {
      const key = await aRecord(first());
      const results = await Promise.all(
        Array.from({ length: 24 }, (_, index) =>
          either(index).adopt(key, { owner: `app-${index}`, ifEpoch: 1 }),
        ),
      );
      const winners = results.filter((result) => result.outcome === 'adopted');
      assert.equal(winners.length, 1);
      const record = await first().lookup(key);
      assert.equal(record?.epoch, 2);
      for (const result of results) {
        assert.ok(result.outcome === 'adopted' || result.outcome === 'moved');
        assert.deepEqual([result.record.owner, result.record.epoch], [record?.owner, 2]);
      }
    });

    test('of many first commits exactly one owner wins', async () => {
      const key = newKey();
      const results = await Promise.all(
        Array.from({ length: 24 }, (_, index) =>
          either(index).commit(key, aCommit({ owner: `app-${index}` })),
        ),
      );
      assert.equal(results.filter((result) => result.outcome === 'committed').length, 1);
      assert.equal(results.filter((result) => result.outcome === 'fenced').length, 23);
    });

    test('an owner that commits while another adopts never overwrites the new owner', async () => {
      const key = await aRecord(first());
      const byOwner = (store: SnapshotStore, owner: string, epoch: number) =>
        Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            store.commit(
              key,
              aCommit({ owner, epoch, seq: index + 2, snapshot: bytes(`${owner} ${index + 2}`) }),
            ),
          ),
        );
      const old = byOwner(first(), 'app-1', 1);
      const adopted = await second().adopt(key, { owner: 'app-2', ifEpoch: 1 });
      assert.ok(adopted.outcome === 'adopted');
      const [oldResults, newResults] = await Promise.all([old, byOwner(second(), 'app-2', 2)]);

      // A commit was made before the adopt, which then found it, or not at all.
      const made = oldResults.flatMap((result, index) => (result.outcome === 'committed' ? [index + 2] : []));
      assert.equal(adopted.record.seq, Math.max(1, ...made));
      assert.ok(oldResults.every((result) => ['committed', 'fenced', 'stale'].includes(result.outcome)));
      assert.ok(newResults.every((result) => result.outcome === 'committed' || result.outcome === 'stale'));
      const record = await first().read(key);
      assert.deepEqual([record?.owner, record?.epoch], ['app-2', 2]);
      const expected = adopted.record.seq < 21 ? 'app-2 21' : 'app-1 21';
      assert.equal(Buffer.from(record?.snapshot ?? []).toString(), expected);
    });

    test('interleaved adopts and commits never go back in epoch or seq', async () => {
      const key = await aRecord(first());
      const player = async (store: SnapshotStore, owner: string) => {
        for (let round = 0; round < 15; round++) {
          const now = await store.lookup(key);
          const result = await store.adopt(key, { owner, ifEpoch: now?.epoch ?? 0 });
          if (result.outcome !== 'adopted') continue;
          const { epoch, seq } = result.record;
          const commit = await store.commit(key, aCommit({ owner, epoch, seq: seq + 1 }));
          assert.ok(commit.outcome === 'committed' || commit.outcome === 'fenced');
        }
      };
      const watcher = async () => {
        let before = { epoch: 1, seq: 1 };
        for (let round = 0; round < 30; round++) {
          const now = await first().lookup(key);
          assert.ok(now && now.epoch >= before.epoch && now.seq >= before.seq);
          before = now;
        }
      };
      await Promise.all([player(first(), 'app-1'), player(second(), 'app-2'), watcher()]);
      const end = await first().lookup(key);
      // Each epoch has one owner, and each owner commits once.
      assert.ok(end && end.epoch > 1 && end.seq <= end.epoch);
    });
  });
}
