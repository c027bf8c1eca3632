import type { Backend } from '../backends/backend.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { EndedSession } from '../routing/ended-session.ts';
import type { Route } from '../routing/router.ts';
import type { RequestTrace } from '../tracing/request-trace.ts';

/** One client request and where it goes, whichever lane moves its bytes. */
export interface Exchange {
  readonly method: string;
  /** Origin form. */
  readonly target: string;
  readonly route: Route;
  /** Came over TLS, to us or to a trusted proxy. */
  readonly encrypted: boolean;
  readonly trace: RequestTrace;
}

/** An exchange that a backend has answered. */
export interface AnsweredExchange extends Exchange {
  readonly backend: Backend;
  /** The agent's when the request was sent; `undefined` when it was not known. */
  readonly incarnation: string | undefined;
  /** Epoch of the session's binding, 0 when it has no record. */
  readonly epoch: number;
  /** As of when that was right, at the latest when the request was sent. */
  readonly stamp: Stamp | undefined;
  /** The session that the request came with, when that had been logged out: what the answer says is not of it. */
  readonly ended: EndedSession | undefined;
}
