import { StickshiftError } from '../../protocol/errors.ts';
import type { SharedBackendState, SnapshotStore } from '../../store/snapshot-store.ts';

/**
 * A store without a single record, for tests in which no session moves: it knows every session to be absent. Of backends it keeps
 * what operators ask for.
 */
export function emptyStore(): SnapshotStore {
  const states = new Map<string, SharedBackendState>();
  const refuse = () => Promise.reject(new StickshiftError('STORE_REFUSED', 'this store only looks up'));
  return {
    lookup: () => Promise.resolve(undefined),
    read: () => Promise.resolve(undefined),
    backends: () => Promise.resolve([]),
    watchTaken: () => ({ heardUntil: 0, stop: () => undefined }),
    backendStates: () => Promise.resolve([...states.values()]),
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
    setBackendState: async ({ deadlineMs: remainingMs, ...change }) => {
      const revision = (states.get(change.backend)?.revision ?? 0) + 1;
      const state = { ...change, remainingMs, revision };
      states.set(change.backend, state);
      return state;
    },
  };
}
