import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';

/**
 * To be called right before a step that changes a record's owner, or that takes an absent record at its word.
 *
 * @throws StickshiftError `STORE_SETTLING` while owners write again what the store may have forgotten: the record may be an
 * older one than its owner knows, and whoever took it over would own the session in an epoch that somebody has already
 */
export function assertSettled(store: SnapshotStore): void {
  const { settlingMs } = store;
  if (settlingMs > 0) {
    throw new StickshiftError(
      'STORE_SETTLING',
      `the store may have lost data; owners have ${Math.ceil(settlingMs)} ms left to write it again`,
    );
  }
}
