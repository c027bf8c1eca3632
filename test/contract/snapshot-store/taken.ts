import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { SnapshotStore, TakenWatch } from '../../../store/snapshot-store.ts';
import { eventually } from '../../services/eventually.ts';
import {
  aCommit,
  aRecord,
  aReleasedRecord,
  aTombstone,
  inAnHour,
  inHours,
  newKey,
  type StoreUnderTest,
} from './sample-records.ts';

export function taken(first: StoreUnderTest, second: StoreUnderTest): void {
  describe('sessions that are taken from their owner', () => {
    const watches: TakenWatch[] = [];
    after(() => {
      for (const watch of watches) watch.stop();
    });

    async function watch(store: SnapshotStore, owner: string) {
      const heard = { keys: [] as SessionKey[], missed: 0 };
      const watching = store.watchTaken(owner, {
        taken: (keys) => heard.keys.push(...keys),
        missed: () => heard.missed++,
      });
      watches.push(watching);
      await eventually('the watch begins', () => heard.missed > 0 && watching.heardUntil > 0);
      // In a cluster, once for each node.
      heard.missed = 0;
      /** Resolves when all that was taken up to now has been told. */
      const upToDate = async () => {
        const now = performance.now();
        await eventually('the watch is up to date', () => watching.heardUntil > now);
      };
      return { heard, watching, upToDate };
    }
    const anOwner = () => `app-${randomUUID()}`;

    test('are told to the owner, whatever took them', async () => {
      const [owner, by] = [anOwner(), anOwner()];
      const { heard, upToDate } = await watch(first(), owner);
      const keys = await Promise.all(Array.from({ length: 6 }, () => aRecord(first(), { owner })));
      const [adopted, committed, released, ended, stood, replaced] = keys as [
        SessionKey,
        SessionKey,
        SessionKey,
        SessionKey,
        SessionKey,
        SessionKey,
      ];
      const until = inHours(1);
      const newer = { owner: by, epoch: 2 };
      const { owner: _, ...commit } = aCommit({ epoch: 2 });
      await second().adopt(adopted, { owner: by, ifEpoch: 1 });
      await second().commit(committed, aCommit(newer));
      await second().release(released, { ...newer, final: { ...commit, deadlines: inAnHour() } });
      await second().end(ended, { ...newer, until });
      await second().end(stood, { owner: by, epoch: 1, until, stood: true });
      await second().replace(replaced, { ...newer, until, successor: newKey(), commit });
      await upToDate();
      assert.deepEqual(new Set(heard.keys), new Set(keys));
      assert.equal(heard.missed, 0);
    });

    test('are none that the owner gave up, ended or never had', async () => {
      const [owner, by] = [anOwner(), anOwner()];
      const { heard, upToDate } = await watch(first(), owner);
      await second().adopt(await aReleasedRecord(first(), { owner }), { owner: by, ifEpoch: 1 });
      await second().adopt(await aRecord(first(), { owner: by }), { owner: anOwner(), ifEpoch: 1 });
      const mine = await aRecord(first(), { owner });
      await first().adopt(mine, { owner, ifEpoch: 1 });
      await first().commit(mine, aCommit({ owner, epoch: 3, seq: 2 }));
      await first().end(mine, { owner, epoch: 3, until: inHours(1) });
      await second().end(await aTombstone(first()), { owner: by, epoch: 9, until: inHours(2) });
      // Refused, it takes nothing.
      await second().commit(
        await aRecord(first(), { owner, epoch: 2 }),
        aCommit({ owner: by, epoch: 2, seq: 9 }),
      );
      await upToDate();
      assert.deepEqual(heard.keys, []);
    });

    test('are all told by the time that the watch says so', async () => {
      const [owner, by] = [anOwner(), anOwner()];
      const { heard, upToDate } = await watch(first(), owner);
      const keys = await Promise.all(Array.from({ length: 200 }, () => aRecord(second(), { owner })));
      await Promise.all(keys.map((key) => second().adopt(key, { owner: by, ifEpoch: 1 })));
      await upToDate();
      assert.deepEqual(new Set(heard.keys), new Set(keys));
    });

    test('are told no more after stop', async () => {
      const owner = anOwner();
      const stopped = await watch(first(), owner);
      const other = await watch(first(), owner);
      stopped.watching.stop();
      await second().adopt(await aRecord(first(), { owner }), { owner: anOwner(), ifEpoch: 1 });
      await other.upToDate();
      assert.equal(new Set(other.heard.keys).size, 1);
      assert.deepEqual(stopped.heard.keys, []);
    });
  });
}
