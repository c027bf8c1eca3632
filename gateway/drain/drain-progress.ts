import type { AdminState } from '../backends/backend.ts';

/** How far a drain has come. Times are milliseconds since 1970. */
export interface DrainProgress {
  /**
   * - `draining`: idle sessions are released, requests in flight may finish
   * - `closing`: the deadline has passed; what was left is closed and released
   * - `complete`: every session is committed and released, nothing is in flight
   * - `incomplete`: given up after the deadline; `isLast`, `remaining`, `inFlight` and `agentError` say what is left
   */
  readonly state: 'draining' | 'closing' | 'complete' | 'incomplete';
  readonly reason: Exclude<AdminState, 'ready'>;
  readonly startedAt: number;
  readonly deadlineAt: number;
  /** When it became complete or incomplete. */
  readonly endedAt?: number;
  /** Sessions released so far. */
  readonly released: number;
  /** Sessions that the agent still held at its last answer; missing before the first one. */
  readonly remaining?: number;
  /** Of `remaining`, those that cannot be saved: they are lost when the app server stops. */
  readonly unprotected?: number;
  /** Requests, event streams and WebSockets still under way. */
  readonly inFlight: number;
  /** Present when no other backend of the pool accepts clients: a drained one goes on serving its own then, and releases none. */
  readonly isLast?: true;
  /** Code of the agent's last failure; missing when its last answer was good. */
  readonly agentError?: string;
}
