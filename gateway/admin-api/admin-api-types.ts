import type { AgentStatus } from '../../protocol/agent-api.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { RecordState } from '../../store/snapshot-store.ts';
import type { AdminState } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import type { DrainProgress } from '../drain/drain-progress.ts';
import type { StoreFailure } from '../drain/operator-states.ts';

export type { ApiErrorBody } from '../../protocol/agent-api.ts';
export type { AdminState, DrainProgress };

/**
 * Paths of the admin API: JSON over HTTP/1.1. A path of a backend takes `?pool=` where two pools have a backend of that
 * name. Everything that is not 2xx has an `ApiErrorBody`. Described in `docs/admin-api.md`.
 */
export const ADMIN_API = {
  status: '/v1/status',
  backend: (id: string) => `/v1/backends/${encodeURIComponent(id)}`,
  backendState: (id: string) => `/v1/backends/${encodeURIComponent(id)}/state`,
  backendDrain: (id: string) => `/v1/backends/${encodeURIComponent(id)}/drain`,
  sessionLookup: '/v1/sessions/lookup',
  health: '/healthz',
  ready: '/readyz',
  metrics: '/metrics',
} as const;

/** `GET /v1/status` */
export interface StatusAnswer {
  readonly gateway: GatewayReport;
  readonly ready: boolean;
  readonly pools: readonly PoolStatus[];
}

/** What the gateway says of itself: among all its counters since its start, these. */
export interface GatewayReport
  extends Readonly<Pick<GatewayCounters, 'held' | 'holdTimeMs' | 'takeovers' | 'unprotected' | 'errors'>> {
  readonly startedAt: number;
  /** Absent where one thread does everything. */
  readonly workers?: WorkersStatus;
  /** WebSockets that are open. */
  readonly webSockets: number;
  /** Why this gateway cannot reach the store; absent while it can, as of a second ago. */
  readonly storeFailure?: StoreFailure;
  /** How long the store goes on settling, milliseconds; 0: it has. Until then no session is taken over. */
  readonly storeSettlingMs: number;
  /** That clients are shown, in the order of the configuration; absent where it speaks no TLS. */
  readonly certificates?: readonly CertificateStatus[];
}

/** Threads that serve clients. */
export interface WorkersStatus {
  readonly configured: number;
  /** Of them, those that serve clients right now. */
  readonly running: number;
  /** How many have ended unasked since the start; another one takes the place of each. */
  readonly lost: number;
}

export interface CertificateStatus {
  /** Its file. */
  readonly certificate: string;
  readonly names: readonly string[];
  /** SHA-256. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Whole days; negative when it has expired. */
  readonly daysLeft: number;
}

export interface PoolStatus {
  readonly name: string;
  /** Name in session keys. */
  readonly application: string;
  /** Backends that may be given new clients. */
  readonly accepting: number;
  readonly backends: readonly BackendStatus[];
}

/** `GET /v1/backends/:id`. Times are milliseconds since 1970. */
export interface BackendStatus {
  readonly id: string;
  readonly pool: string;
  readonly url: string;
  readonly agentUrl: string;
  readonly weight: number;
  readonly adminState: AdminState;
  /** App and agent are there and it is not ejected: sessions bound to it are served. */
  readonly up: boolean;
  /** Is given clients that it does not serve yet. */
  readonly accepting: boolean;
  readonly appUp: boolean;
  readonly agentUp: boolean;
  /** Present while it is ejected. */
  readonly ejectedUntil?: number;
  readonly upSince: number;
  /** This gateway holds a lease at the agent. Without one, every request of a session bound here costs a lookup. */
  readonly leased: boolean;
  /** Requests, event streams and WebSockets under way. */
  readonly inFlight: number;
  readonly agent: AgentReport;
  /** Present once it was told to drain, until it is `ready` again. */
  readonly drain?: DrainProgress;
}

/** What the agent said when it was asked just now. */
export type AgentReport =
  | ({ readonly state: 'ok' } & Omit<AgentStatus, 'backend' | 'application'>)
  /** It did not answer, or not as the agent of this backend; `code` says how. */
  | { readonly state: 'unreachable'; readonly code: string };

/** `POST /v1/backends/:id/state` */
export interface StateRequest {
  readonly state: AdminState;
  /** For `drain`: how long requests and WebSockets may go on, milliseconds. Default: `gateway.drain.deadline`. */
  readonly deadlineMs?: number;
  /** Needed where two pools have a backend of that name. */
  readonly pool?: string;
}

/** 202 for `drain` and `maintenance`, 200 for `ready`; also the answer of `GET /v1/backends/:id/drain`. */
export interface StateAnswer {
  readonly backend: string;
  readonly pool: string;
  readonly adminState: AdminState;
  /** Missing when the backend is not being drained. */
  readonly drain?: DrainProgress;
}

/** `POST /v1/sessions/lookup`. In the body, because a session ID must never stand in a URL. */
export interface SessionLookupRequest {
  /** Session ID, as the app knows it or as it stands in the cookie; or session key. */
  readonly session: string;
  /** Look only here. Default: every pool. */
  readonly pool?: string;
}

/** 404 `NOT_FOUND`: known to be absent. 503: the store cannot tell. */
export interface SessionLookupAnswer {
  readonly key: SessionKey;
  /** Missing when it was looked up by key and several pools may own it. */
  readonly pool?: string;
  readonly state: RecordState;
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
  /** Bytes of the sealed snapshot. */
  readonly size: number;
  /** Age of the last commit by the store's clock. */
  readonly ageMs: number;
  /** The earlier of idle and absolute deadline, milliseconds since 1970. */
  readonly expiresAt: number;
}

/** `GET /readyz`, 200 or 503; `GET /healthz` is always 200 with `{"alive":true}`. */
export interface ReadinessAnswer {
  readonly ready: boolean;
  readonly reason?: string;
}

/** Longest body of a request, bytes. */
export const MAX_ADMIN_BODY = 16 * 1024;
