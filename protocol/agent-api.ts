/**
 * The agent's control API: JSON over HTTP/1.1, `Authorization: Bearer <agent token>` on everything under `/v1`.
 * Session IDs travel in bodies only, so that no access log ever holds one. W3C `traceparent` is honoured.
 */
export const AGENT_API = {
  adopt: '/v1/sessions/adopt',
  release: '/v1/sessions/release',
  releaseIdle: '/v1/sessions/release-idle',
  commit: '/v1/sessions/commit',
  lease: '/v1/lease',
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
  /**
   * The record is not what the caller saw: somebody else moved the session first, or this agent has just released it. Read it
   * again.
   */
  | { readonly outcome: 'moved'; readonly owner: string; readonly epoch: number }
  /**
   * The store cannot be reached, the snapshot cannot be read, or the app does not take it. Nothing may be forwarded.
   * `SESSION_MOVING`: the agent is releasing the session, and this call has waited a while for that; wait, and read the record
   * again.
   */
  | { readonly outcome: 'unknown'; readonly code: string };

export interface ReleaseRequest {
  readonly backend: string;
  readonly sessionId: string;
}

export type ReleaseAnswer =
  | { readonly outcome: 'released'; readonly epoch: number; readonly seq: number }
  /** This agent does not hold the session; the record is the truth. */
  | { readonly outcome: 'not-held' }
  /** `SESSION_MOVING`: not all gateways have let go of the session yet. The release goes on; ask again, or read the record. */
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
  /** Default: `ack`, `onStoreDown` `refuse`. */
  readonly durability?: CommitDurability | undefined;
  /**
   * The answer is an error, and may be a web server's word for a process that died over the request: a session that it removed is
   * not known to have been logged out.
   */
  readonly failed?: boolean | undefined;
}

/** What the caller's configuration asks for before a response may go out. */
export interface CommitDurability {
  /**
   * `async`: wait for tombstones only; `ack`: until the changes are in the store; `replica`: until `replicas` replicas of the
   * store have them as well.
   */
  readonly mode: 'async' | 'ack' | 'replica';
  /** For `replica`, from 1. */
  readonly replicas?: number | undefined;
  /** `serve`: while the store is away, the agent's journal on disk will do. Not in `replica`. */
  readonly onStoreDown: 'serve' | 'refuse';
}

export type SessionCommit =
  /**
   * Every change that the agent knew of when asked is in the store. `unchanged`: since the request was sent, the agent has
   * seen no change at all; a source that learns of changes late may have lost one together with its app.
   */
  | {
      readonly outcome: 'committed';
      readonly epoch: number;
      readonly seq: number;
      readonly unchanged?: boolean | undefined;
    }
  /** `async`: noted, and committed soon. `seq` is that of the last commit that stands. */
  | { readonly outcome: 'accepted'; readonly epoch: number; readonly seq: number }
  /** The store is away; the changes are on the agent's disk and are committed when it is back. At risk until then. */
  | { readonly outcome: 'journaled'; readonly epoch: number; readonly seq: number }
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

/**
 * A lease is an agent's word to one gateway that it lets no session go, and has its app forget none, before this gateway has
 * been told (*recalled*) and has agreed. While it holds, a gateway may follow a binding without asking anybody.
 *
 * The gateway keeps one such call under way at all times. The agent answers as soon as there is a recall that the gateway has
 * not seen, at the latest after 250 ms. The lease holds for `ttlMs`: for the gateway from when it *sent* the last
 * call that was answered, for the agent from when it *received* the last call, so that the gateway's view always ends first and
 * no clocks are compared. Acknowledgements go at once, in a call of their own with `wait` false, as many as are due together.
 *
 * `LEASE_REFUSED` (503) instead of an answer: the agent knows of no lease of this gateway, since it was restarted, or since the
 * lease has run out or was revoked. The gateway holds none from then on and begins again with `seen` -1, which is answered at
 * once; and when it begins, it forgets about all calls that are still under way.
 *
 * What an agent confirms while a recall is on its way to the gateway may be outdated when it arrives. So a binding's stamp is the
 * `recall` of the lease when the question was *sent*, and a session that was recalled under a higher number stays in doubt.
 */
export interface LeaseRequest {
  readonly backend: string;
  /** Changes at every start of the gateway. */
  readonly gateway: string;
  /** `recall` of the last answer that the gateway has got; -1 with its first call, or after its lease has lapsed. */
  readonly seen: number;
  /** Recalls that the gateway agrees to: no request of these sessions is under way there, or its answer will be checked. */
  readonly acknowledged: readonly number[];
  /** Of those with the reason `removed`: a request of the session broke off lately, or had its answer withheld. */
  readonly broken?: readonly number[] | undefined;
  /** False: answer at once. */
  readonly wait: boolean;
  /** The gateway does not trust what it was told of this backend so far; the agent counts a recall on, of no sessions. */
  readonly renew?: boolean | undefined;
  /** The gateway stops: it holds no lease any more. */
  readonly leave?: boolean | undefined;
}

export interface LeaseAnswer {
  /** The agent's; another one ends the lease. */
  readonly incarnation: string;
  /**
   * How far the gateway has been told, from 0: the number of the newest recall, or of the last in `recalls` if more are left
   * for the next answer. Some numbers stand for no recall (`renew`).
   */
  readonly recall: number;
  /** 0: the agent vouches for nothing right now, as if it had answered `LEASE_REFUSED`. */
  readonly ttlMs: number;
  /**
   * Answer to `renew`, and to `seen` -1, which counts as one: the number that it was counted as, which may be beyond `recall`.
   * Older stamps are not to be trusted.
   */
  readonly renewed?: number | undefined;
  /** In order of their numbers, those after `seen`; empty for a gateway that holds no lease yet. Given again until `seen` covers them. */
  readonly recalls: readonly Recall[];
}

export interface Recall {
  readonly recall: number;
  /** None: the app came or went. Bindings stamped before this number need a check; there is nothing to acknowledge. */
  readonly sessionIds: readonly string[];
  /**
   * `release`: let what is under way finish first (the agent gives the release up after 10 s); `lost`: the session is somebody
   * else's already, or has ended, be it by a logout whose own request is still under way. A gateway that does not acknowledge
   * `lost` within 5 s loses its lease. A request that waits to be placed is not under way: its adopt waits for the release.
   * `removed`: the app has removed the session and did not say why. Nothing is taken back, and what is bound stays bound; the gateway
   * lets what is under way finish, and says whether a request of the session broke off (`broken`).
   */
  readonly reason: 'release' | 'lost' | 'removed';
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
  /** Of these, whose newest changes are only in the agent's journal: acknowledged while the store was away. */
  readonly atRisk: number;
  /** Age of the oldest change that is not committed yet, milliseconds; 0 when there is none. */
  readonly exposureMs: number;
  readonly store: 'ok' | 'unreachable';
  readonly commits: Readonly<Record<'committed' | 'fenced' | 'stale' | 'ended' | 'failed', number>>;
  /** The agent's journal on disk. */
  readonly journal: {
    readonly bytes: number;
    /** Changes and logouts that the store does not have yet, and tombstones kept for a store that forgets them. */
    readonly entries: number;
    /** Writes that failed, or found it full, since the agent started. */
    readonly failures: number;
    /** Entries that were brought to the store after the agent's start. */
    readonly replayed: number;
    /** Sessions whose journaled changes came too late: another backend had taken them over. */
    readonly lostAtTakeover: number;
  };
  /** Sessions and tombstones that a store which had lost data was given again, since the agent started. */
  readonly reseeded: number;
}

/** Body of every answer that is not 2xx. */
export interface ApiErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly retrySafe: boolean };
}
