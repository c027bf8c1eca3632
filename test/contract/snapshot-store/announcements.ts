import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { BackendAnnouncement, SnapshotStore } from '../../../store/snapshot-store.ts';
import { eventually } from '../../services/eventually.ts';
import type { StoreUnderTest } from './sample-records.ts';

const MINUTE = 60_000;

export function announcements(first: StoreUnderTest, second: StoreUnderTest): void {
  describe('announcements', () => {
    const backend = (changes: Partial<BackendAnnouncement> = {}): BackendAnnouncement => ({
      id: `app-${randomUUID()}`,
      application: 'shop',
      url: 'http://127.0.0.1:3001',
      agent: 'http://127.0.0.1:9091',
      incarnation: randomUUID(),
      ready: true,
      sessions: 12,
      ...changes,
    });
    const find = async (store: SnapshotStore, id: string) =>
      (await store.backends()).find((each) => each.id === id);

    test('are seen by others, whole', async () => {
      const [one, two] = [backend(), backend({ ready: false, sessions: 0 })];
      await first().announce(one, MINUTE);
      await first().announce(two, MINUTE);
      assert.deepEqual(await find(second(), one.id), one);
      assert.deepEqual(await find(second(), two.id), two);
    });

    test('replace the one before', async () => {
      const before = backend();
      const after = { ...before, incarnation: randomUUID(), sessions: 13 };
      await first().announce(before, MINUTE);
      await first().announce(after, MINUTE);
      assert.deepEqual(
        (await second().backends()).filter((each) => each.id === before.id),
        [after],
      );
    });

    test('of another incarnation give way at the same agent URL: it is its former life', async () => {
      const before = backend();
      const after = { ...before, incarnation: randomUUID() };
      assert.deepEqual(await first().announce(before, MINUTE), { outcome: 'announced' });
      assert.deepEqual(await second().announce(after, MINUTE), { outcome: 'announced' });
      assert.deepEqual(await find(first(), before.id), after);
    });

    test('are refused to a second living agent that claims the same backend', async () => {
      const mine = backend();
      const other = { ...mine, incarnation: randomUUID(), agent: 'http://127.0.0.1:9092' };
      await first().announce(mine, MINUTE);
      assert.deepEqual(await second().announce(other, MINUTE), { outcome: 'claimed', by: mine });
      assert.deepEqual(await find(second(), mine.id), mine);
      // An agent that moved to another URL without a restart is still itself.
      const moved = { ...mine, agent: 'http://127.0.0.1:9093' };
      assert.deepEqual(await first().announce(moved, MINUTE), { outcome: 'announced' });
    });

    test('of one ID in two applications do not meet', async () => {
      const shop = backend();
      const blog = {
        ...shop,
        application: 'blog',
        agent: 'http://127.0.0.1:9092',
        incarnation: randomUUID(),
      };
      assert.deepEqual(await first().announce(shop, MINUTE), { outcome: 'announced' });
      assert.deepEqual(await first().announce(blog, MINUTE), { outcome: 'announced' });
      const found = (await second().backends()).filter(({ id }) => id === shop.id);
      assert.deepEqual(new Set(found.map(({ application }) => application)), new Set(['shop', 'blog']));
    });

    test('are taken back by the incarnation that made them, and by no other', async () => {
      const mine = backend();
      const other = { ...mine, incarnation: randomUUID(), agent: 'http://127.0.0.1:9092' };
      await first().announce(mine, MINUTE);
      await second().withdraw(other);
      assert.deepEqual(await find(first(), mine.id), mine);
      await first().withdraw(mine);
      assert.equal(await find(second(), mine.id), undefined);
      await first().withdraw(mine);
      assert.deepEqual(await second().announce(other, MINUTE), { outcome: 'announced' });
    });

    test('run out, and others stay', async () => {
      const [short, long] = [backend(), backend()];
      await first().announce(long, MINUTE);
      await first().announce(short, 300);
      await eventually(
        'the announcement runs out',
        async () => (await find(first(), short.id)) === undefined,
      );
      assert.ok(await find(first(), long.id));
    });

    test('live on when they are renewed', async () => {
      const [renewed, other] = [backend(), backend()];
      await first().announce(renewed, 300);
      await first().announce(other, 300);
      await first().announce(renewed, MINUTE);
      await eventually('the other runs out', async () => (await find(first(), other.id)) === undefined);
      assert.ok(await find(first(), renewed.id));
    });
  });

  describe('check', () => {
    test('finds the store alive', async () => {
      assert.ok(Array.isArray(await first().check()));
    });
  });
}
