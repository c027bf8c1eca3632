/**
 * The agent's control API: JSON over HTTP/1.1, `Authorization: Bearer <agent token>` on everything under `/v1`.
 * Session IDs travel in bodies only, so that no access log ever holds one. W3C `traceparent` is honoured.
 */
export const AGENT_API = {
  adopt: '/v1/sessions/adopt',
  release: '/v1/sessions/release',
  releaseIdle: '/v1/sessions/release-idle',
  commit: '/v1/sessions/commit',
  status: '/v1/status',
  ready: '/readyz',
  health: '/healthz',
  metrics: '/metrics',
} as const;

/** Why a session changes its owner. `takeover`: the old owner is lost; the others are planned. */
export type HandoffReason = 'takeover' | 'drain' | 'maintenance' | 'rebalance' | 'unowned';

export interface AdoptRequest {
  /** Backend that the caller believes it talks to; the agent refuses when it serves another (`AGENT_MISMATCH`). */
  readonly backend: string;
  readonly sessionId: string;
  /** The record's epoch as the caller saw it. */
  readonly ifEpoch: number;
  readonly reason: HandoffReason;
}

export type AdoptAnswer =
  /** Rehydrated, or held already. `seq` is the commit that was installed; `ageMs` its age by the store's clock. */
  | {
      readonly outcome: 'found';
      readonly epoch: number;
      readonly seq: number;
      readonly ageMs: number;
      readonly size: number;
      /** Of the agent that answers, so that a restart shows before the next readiness check. */
      readonly incarnation?: string | undefined;
    }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'ended' }
  /** Somebody else moved the session first. */
  | { readonly outcome: 'moved'; readonly owner: string; readonly epoch: number }
  /** The store cannot be reached, the snapshot cannot be read, or the app does not take it. Nothing may be forwarded. */
  | { readonly outcome: 'unknown'; readonly code: string };

export interface ReleaseRequest {
  readonly backend: string;
  readonly sessionId: string;
}

export type ReleaseAnswer =
  | { readonly outcome: 'released'; readonly epoch: number; readonly seq: number }
  /** This agent does not hold the session; the record is the truth. */
  | { readonly outcome: 'not-held' }
  | { readonly outcome: 'unknown'; readonly code: string };

export interface ReleaseIdleRequest {
  readonly backend: string;
  /** Session IDs with a request in flight: they stay. */
  readonly except: readonly string[];
  /** At most so many in this call, so that progress can be shown. */
  readonly limit: number;
}

export interface ReleaseIdleAnswer {
  readonly released: number;
  /** Sessions that the app still holds. */
  readonly remaining: number;
  /** Of `remaining`, those that cannot be saved (too large, or not capturable). */
  readonly unprotected: number;
}

export interface CommitRequest {
  readonly backend: string;
  /** The request's session and, after an ID change, the response's. */
  readonly sessionIds: readonly string[];
  /** How long the caller will wait, milliseconds. */
  readonly timeoutMs: number;
  /**
   * The agent's incarnation as the caller knew it when it sent the app the request. An agent that has been started since
   * vouches only for what it has got from the app itself.
   */
  readonly incarnation?: string | undefined;
}

export type SessionCommit =
  /** Every change that the agent knew of when asked is in the store. */
  | { readonly outcome: 'committed'; readonly epoch: number; readonly seq: number }
  /** The app holds no such session, and nothing about it is pending. */
  | { readonly outcome: 'not-held' }
  /** The app has logged the session out, and its tombstone stands. */
  | { readonly outcome: 'ended' }
  /** The app changed the session after its logout, by an ID that it should not have taken any more: refused, and gone. */
  | { readonly outcome: 'late' }
  | { readonly outcome: 'fenced' }
  /** Not capturable or over the size limit: it lives on this backend only. */
  | { readonly outcome: 'unprotected' }
  | { readonly outcome: 'unknown'; readonly code: string };

export interface CommitAnswer {
  /** In the order of the request. */
  readonly sessions: readonly SessionCommit[];
}

export interface AgentReadiness {
  readonly backend: string;
  readonly application: string;
  /** Changes at every start of the agent. */
  readonly incarnation: string;
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly reason?: string;
}

export interface AgentStatus extends AgentReadiness {
  readonly source: 'express' | 'files';
  /** Sessions that this agent owns. */
  readonly sessions: number;
  /** Of these, with changes that are not committed yet. */
  readonly dirty: number;
  /** Of these, not in the store because they are too large or cannot be captured. */
  readonly unprotected: number;
  /** Age of the oldest change that is not committed yet, milliseconds; 0 when there is none. */
  readonly exposureMs: number;
  readonly store: 'ok' | 'unreachable';
  readonly commits: Readonly<Record<'committed' | 'fenced' | 'stale' | 'ended' | 'failed', number>>;
}

/** Body of every answer that is not 2xx. */
export interface ApiErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly retrySafe: boolean };
}
