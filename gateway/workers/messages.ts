import type { ErrorCode } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Figures } from '../data-plane/data-plane.ts';

/** Which backend a message is of: objects are not shared by threads. */
export interface BackendName {
  readonly pool: string;
  readonly id: string;
}

/** What a worker is told of a backend. */
export interface BackendState
  extends Readonly<
    Pick<Backend, 'appUp' | 'agentUp' | 'ejectedUntil' | 'upSince' | 'incarnation' | 'adminState'>
  > {
  /** Nothing is held against it: that a request succeeded there is no news. */
  readonly isClean: boolean;
}

/** What a worker is told first. */
export interface Beginning {
  readonly type: 'begin';
  /** `host:port` */
  readonly listen: string;
  /** Most open client connections. */
  readonly connections: number;
  /** Of all workers: a TLS session that one began is resumed at another. */
  readonly ticketKeys: Uint8Array;
  readonly backends: readonly { readonly backend: BackendName; readonly state: BackendState }[];
}

/** From the control plane to a worker, in order. */
export type ToWorker =
  | Beginning
  /** `distrust`: bindings that were made so far are not trusted any more. */
  | {
      readonly type: 'backend';
      readonly backend: BackendName;
      readonly state: BackendState;
      readonly distrust: boolean;
    }
  | { readonly type: 'close-connections'; readonly backend: BackendName }
  /** Answered by a `report` with the same number. `sessionsOn`: with what is under way there. */
  | { readonly type: 'report'; readonly number: number; readonly sessionsOn: BackendName | undefined }
  /** Answers `probe-app`. */
  | { readonly type: 'app-probed'; readonly number: number; readonly isAlive: boolean }
  | { readonly type: 'stop' };

/** From a worker to the control plane, in order. */
export type FromWorker =
  /** It serves clients. */
  | { readonly type: 'listening'; readonly address: string }
  /** It cannot, and ends. */
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'report'; readonly number: number; readonly report: WorkerReport }
  | { readonly type: 'probe-app'; readonly number: number; readonly backend: BackendName }
  | BackendNews;

/** What requests tell of a backend. */
export type BackendNews =
  | { readonly type: 'connect-failed'; readonly backend: BackendName; readonly reason: string }
  | { readonly type: 'backend-reset'; readonly backend: BackendName }
  /** Sent once after something was held against it, not for every request. */
  | { readonly type: 'succeeded'; readonly backend: BackendName }
  | { readonly type: 'agent-answered'; readonly backend: BackendName; readonly incarnation: string }
  | { readonly type: 'agent-failed'; readonly backend: BackendName };

/** What a worker has counted, and what is under way there. */
export interface WorkerReport extends Figures {
  readonly backends: readonly {
    readonly backend: BackendName;
    readonly inFlight: number;
    readonly isLeased: boolean;
  }[];
  /** IDs, of the backend that was asked for. */
  readonly sessionsOn: readonly string[];
}

export function nameOf({ pool, id }: Backend): BackendName {
  return { pool, id };
}
