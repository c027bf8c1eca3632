import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RedisSnapshotStore } from '../../store/redis/redis-snapshot-store.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { aCommit, newKey } from '../contract/snapshot-store/sample-records.ts';
import { eventually } from './eventually.ts';
import { openRedisStore } from './redis-store.ts';

/** Short, where the test waits for it; a healthy local server needs less than a thousandth. */
export const SHORT = { commandTimeout: 500 };

/** What a test has started; ended after it, the last one first: a store goes before its server. */
export const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Opens a store that is closed after the test. */
export async function open(
  url: string,
  options: Parameters<typeof openRedisStore>[1] = {},
): Promise<RedisSnapshotStore> {
  const { store, close } = await openRedisStore(url, options);
  cleanups.push(close);
  return store;
}

/** The error of an operation that has to fail. */
export async function failure(operation: Promise<unknown>): Promise<StickshiftError> {
  try {
    await operation;
  } catch (error) {
    assert.ok(error instanceof StickshiftError, String(error));
    // ioredis hangs arguments on its errors: snapshots and passwords.
    assert.equal(error.cause, undefined);
    return error;
  }
  throw new Error('the operation succeeded');
}

/** Resolves when the store works again. */
export async function works(store: SnapshotStore): Promise<void> {
  await eventually('the store works again', () =>
    store.commit(newKey(), aCommit()).then(
      ({ outcome }) => outcome === 'committed',
      () => false,
    ),
  );
}
