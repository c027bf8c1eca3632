import { randomBytes } from 'node:crypto';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { BackendAnnouncement, Commit, Deadlines, SnapshotStore } from '../../../store/snapshot-store.ts';

/** The store under test; opened by the time a test runs. */
export type StoreUnderTest = () => SnapshotStore;

const HOUR = 3_600_000;

/** A session key that no other test has. */
export function newKey(): SessionKey {
  return randomBytes(32).toString('base64url') as SessionKey;
}

export function inHours(hours: number): number {
  return Date.now() + hours * HOUR;
}

export function inAnHour(): Deadlines {
  return { idleAt: inHours(1), absoluteAt: undefined };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A commit by app-1 at epoch 1, seq 1, unless told otherwise. */
export function aCommit(changes: Partial<Commit> = {}): Commit {
  return {
    owner: 'app-1',
    epoch: 1,
    seq: 1,
    snapshot: bytes('cart: 1 lamp'),
    deadlines: inAnHour(),
    ...changes,
  };
}

/** A new record as {@link aCommit} makes it. */
export async function aRecord(store: SnapshotStore, changes: Partial<Commit> = {}): Promise<SessionKey> {
  const key = newKey();
  await store.commit(key, aCommit(changes));
  return key;
}

/** A new record that its owner has released. */
export async function aReleasedRecord(
  store: SnapshotStore,
  changes: Partial<Commit> = {},
): Promise<SessionKey> {
  const key = await aRecord(store, changes);
  const { owner, epoch } = aCommit(changes);
  await store.release(key, { owner, epoch });
  return key;
}

/** A tombstone where a record of app-1 was. */
export async function aTombstone(store: SnapshotStore): Promise<SessionKey> {
  const key = await aRecord(store);
  await store.end(key, { owner: 'app-1', epoch: 1, until: inHours(1) });
  return key;
}

/** What the agent of app-1 announces. */
export const anAnnouncement: BackendAnnouncement = {
  id: 'app-1',
  application: 'shop',
  url: 'http://127.0.0.1:3001',
  agent: 'http://127.0.0.1:9091',
  incarnation: 'a',
  ready: true,
  sessions: 0,
};
