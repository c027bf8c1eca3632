import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';

/** A store without a single record, for tests in which no session moves: it knows every session to be absent. */
export function emptyStore(): SnapshotStore {
  const refuse = () => Promise.reject(new StickshiftError('STORE_REFUSED', 'this store only looks up'));
  return {
    lookup: () => Promise.resolve(undefined),
    read: () => Promise.resolve(undefined),
    backends: () => Promise.resolve([]),
    backendStates: () => Promise.resolve([]),
    settlingMs: 0,
    onSettling: () => () => undefined,
    prolongSettling: () => Promise.resolve(),
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
    commit: refuse,
    touch: refuse,
    release: refuse,
    adopt: refuse,
    end: refuse,
    replace: refuse,
    announce: refuse,
    withdraw: refuse,
    setBackendState: refuse,
  };
}
