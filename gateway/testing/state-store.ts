import type { StickshiftError } from '../../protocol/errors.ts';
import type { SharedBackendState, SnapshotStore } from '../../store/snapshot-store.ts';

type SetBackendState = SnapshotStore['setBackendState'];

/** The part of a store that keeps what operators ask for; the gateways of a test have it in common. */
export class StateStore {
  readonly states = new Map<string, SharedBackendState>();
  failure: StickshiftError | undefined;
  reads = 0;
  writes = 0;

  readonly setBackendState: SetBackendState = async ({ deadlineMs: remainingMs, ...change }) => {
    this.writes += 1;
    if (this.failure) throw this.failure;
    const revision = (this.states.get(change.backend)?.revision ?? 0) + 1;
    const state = { ...change, revision, remainingMs };
    this.states.set(change.backend, state);
    return state;
  };

  readonly backendStates: SnapshotStore['backendStates'] = async (application) => {
    this.reads += 1;
    if (this.failure) throw this.failure;
    return [...this.states.values()].filter((state) => state.application === application);
  };
}
