import type { SessionKey } from '../protocol/session-key.ts';

/**
 * - `active`: the owner may commit
 * - `released`: the last owner gave it up after its final commit; nobody may commit before an adopt
 * - `ended`: a tombstone; the session was logged out or its ID retired, and nothing may bring it back
 */
export type RecordState = 'active' | 'released' | 'ended';

/** When a session expires, milliseconds since 1970. The earlier of the two is the session's expiry. */
export interface Deadlines {
  /** Moves on with every use of the session. */
  readonly idleAt: number;
  /** Fixed when the session began; `undefined` when the pool sets no absolute lifetime. */
  readonly absoluteAt: number | undefined;
}

/** A record without its snapshot's bytes. */
export interface RecordSummary {
  readonly state: RecordState;
  /** ID of the backend that owns the session, or owned it last. */
  readonly owner: string;
  /** Fencing token, from 1; grows by one at each change of owner. */
  readonly epoch: number;
  /** Number of the last commit, from 1; grows through all epochs of a session. 0 in a tombstone that replaced nothing. */
  readonly seq: number;
  /** Bytes of the sealed snapshot. */
  readonly size: number;
  /** Time of the last commit by the store's clock, milliseconds since 1970. */
  readonly committedAt: number;
  /** Snapshot age by the store's clock at the time of this answer, milliseconds. */
  readonly ageMs: number;
  readonly deadlines: Deadlines;
}

export interface StoredRecord extends RecordSummary {
  /** Sealed snapshot; opaque to the store. */
  readonly snapshot: Uint8Array;
}

export interface Commit {
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
  /** Sealed snapshot. */
  readonly snapshot: Uint8Array;
  readonly deadlines: Deadlines;
  /**
   * Resolve only when so many replicas of the store have it. Default 0. Fewer in time: rejects with
   * `STORE_NOT_REPLICATED`; the write stands all the same, for now. An adapter without replicas rejects with `STORE_REFUSED`.
   */
  readonly replicas?: number;
}

export type TouchRequest = Pick<Commit, 'owner' | 'epoch' | 'deadlines'>;

export interface ReleaseRequest extends Pick<Commit, 'owner' | 'epoch' | 'replicas'> {
  readonly final?: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'>;
}

export interface AdoptRequest {
  /** The new owner. */
  readonly owner: string;
  /** Epoch that the caller saw. */
  readonly ifEpoch: number;
}

export interface EndRequest extends Pick<Commit, 'replicas'> {
  readonly owner: string;
  readonly epoch: number;
  /** How long the tombstone stands, milliseconds since 1970. */
  readonly until: number;
  /**
   * The tombstone has stood before and the store may have forgotten it: written whatever the record says. Not when `until` is over
   * by the store's clock: under the ID of a tombstone that has run out, another session may have begun.
   */
  readonly stood?: boolean;
}

export interface ReplaceRequest {
  readonly owner: string;
  /** Of the old record, as for {@link SnapshotStore.end}. */
  readonly epoch: number;
  /** How long the tombstone stands, milliseconds since 1970. */
  readonly until: number;
  readonly successor: SessionKey;
  readonly commit: Omit<Commit, 'owner'>;
}

/** A record has a newer epoch, another owner, or was released: the caller must forget its copy. */
export interface Fenced {
  readonly outcome: 'fenced';
  readonly owner: string;
  readonly epoch: number;
}

/** The session has a tombstone: the caller must forget its copy. */
export interface Ended {
  readonly outcome: 'ended';
}

/** Seq is not greater than the record's: an older change arrived after a newer one. */
export interface Stale {
  readonly outcome: 'stale';
  readonly seq: number;
}

export interface Absent {
  readonly outcome: 'absent';
}

export type CommitResult = { readonly outcome: 'committed' } | Fenced | Stale | Ended;
export type ReleaseResult = { readonly outcome: 'released' } | Fenced | Stale | Ended | Absent;
export type TouchResult = { readonly outcome: 'touched' } | Fenced | Ended | Absent;
export type EndResult = Ended | Fenced;
/** `ended`: a tombstone stands under the old key, and the successor's record is not this call's work; nothing was written. */
export type ReplaceResult = { readonly outcome: 'replaced' } | Fenced | Stale | Ended;
/** `claimed`: another living agent, at another URL, announces a backend of this ID and application; nothing was written. */
export type AnnounceResult =
  | { readonly outcome: 'announced' }
  | { readonly outcome: 'claimed'; readonly by: BackendAnnouncement };
export type AdoptResult =
  /** `taken`: the record was active and another backend's, which may not have heard of this yet. */
  | { readonly outcome: 'adopted'; readonly record: StoredRecord; readonly taken: boolean }
  /** The epoch was not the expected one; `record` says where the session is now. */
  | { readonly outcome: 'moved'; readonly record: RecordSummary }
  | Ended
  | Absent;

/** What an agent tells the gateways about its backend, kept with a time to live. */
export interface BackendAnnouncement {
  readonly id: string;
  readonly application: string;
  /** URL of the app server. */
  readonly url: string;
  /** URL of the agent's control API. */
  readonly agent: string;
  /** Changes at every start of the agent. */
  readonly incarnation: string;
  readonly ready: boolean;
  readonly sessions: number;
}

export interface TakenWatcher {
  /**
   * In batches. Keys of another application's backend of the same ID may be among them, and in a cluster one may be told again,
   * after the owner has got it back.
   */
  taken(keys: readonly SessionKey[]): void;
  /** Something may have been missed: the first time, and after every break. Any session may have been taken. */
  missed(): void;
}

export interface TakenWatch {
  /**
   * `performance.now()`: everything that was taken before this moment has been told, or `missed` was called since. Moves on
   * about twice a second while the store is there; stands still while it is away.
   */
  readonly heardUntil: number;
  stop(): void;
}

/** What an operator asked for a backend, as all gateways share it. */
export interface SharedBackendState {
  readonly application: string;
  readonly backend: string;
  readonly state: 'ready' | 'drain' | 'maintenance';
  /**
   * What is left of the patience of a drain, milliseconds, by the store's clock at the time of this answer; 0 when it is over and
   * for `ready`. A duration, so that nobody compares two clocks.
   */
  readonly remainingMs: number;
  /** Grows with every change of this backend's state, from 1: a gateway tells by it what it has seen already. */
  readonly revision: number;
}

export interface BackendStateChange extends Pick<SharedBackendState, 'application' | 'backend' | 'state'> {
  /** How long a drain may take, milliseconds. */
  readonly deadlineMs: number;
}

/** A configuration of the store that can lose snapshots, or another reason to look at it. */
export interface StoreWarning {
  readonly code: 'eviction' | 'no-persistence' | 'unsupported-version' | 'nearly-full' | 'no-replicas';
  readonly message: string;
}

/**
 * Where the records live. Each operation on a record is atomic. All of them reject with a `StickshiftError` of source
 * `store` when the outcome is not known (`STORE_UNREACHABLE` is certain to have had no effect; the others are not).
 * Expired records are absent for every operation.
 *
 * One contract suite, `test/contract/snapshot-store.ts`, runs against every adapter.
 */
export interface SnapshotStore {
  /** One record without its bytes. */
  lookup(key: SessionKey): Promise<RecordSummary | undefined>;
  /** One record with its bytes. */
  read(key: SessionKey): Promise<StoredRecord | undefined>;
  /**
   * Writes a snapshot if no tombstone stands, `owner` and `epoch` are the active record's, and `seq` is greater.
   * An absent record is created with the epoch and seq given: a new session, or one that the store lost. A record of an
   * *older* epoch, whoever owns it, is overwritten: epochs come from this store alone, so it has forgotten an adopt.
   *
   * Sent again because its outcome was not known, it answers `stale` with its own seq if it had been carried out.
   */
  commit(key: SessionKey, commit: Commit): Promise<CommitResult>;
  /** Moves the idle deadline; the snapshot stays. A record of an older epoch than the caller's counts as absent. */
  touch(key: SessionKey, touch: TouchRequest): Promise<TouchResult>;
  /**
   * Gives the session up, with a final commit when one is due, in one step. Idempotent for the same owner and epoch. A
   * final commit creates an absent record, or one that an older epoch has; one that is not newer is `stale`, and the session
   * stays the caller's. Without a final commit, a record of an older epoch counts as absent.
   */
  release(key: SessionKey, release: ReleaseRequest): Promise<ReleaseResult>;
  /**
   * Makes `owner` the owner with epoch+1 if the record's epoch is still `ifEpoch`, and returns the snapshot.
   *
   * Sent again because its outcome was not known, it answers `moved` with the caller as owner and epoch `ifEpoch`+1 if
   * it had been carried out: the session is the caller's, and `read` gets the snapshot.
   */
  adopt(key: SessionKey, adopt: AdoptRequest): Promise<AdoptResult>;
  /**
   * Leaves a tombstone until `until` (milliseconds since 1970). `epoch` 0 means that the caller never committed the
   * session; then a tombstone is written only if no other owner has a record. A record of an older epoch than the caller's
   * gives way. Idempotent.
   */
  end(key: SessionKey, end: EndRequest): Promise<EndResult>;
  /**
   * Change of a session's ID: commits the snapshot under `successor` and leaves a tombstone under `key`, in one step (in a
   * Redis Cluster, where the two may be on different nodes, in two: the snapshot first). `fenced` and `stale` are as for
   * {@link end} and {@link commit}, and nothing was written then. Sent again because its outcome was not known, it
   * answers `replaced`.
   */
  replace(key: SessionKey, change: ReplaceRequest): Promise<ReplaceResult>;

  /**
   * Announces a backend for `ttlMs` milliseconds. An announcement by another incarnation at the same agent URL is its former
   * life and gives way.
   */
  announce(backend: BackendAnnouncement, ttlMs: number): Promise<AnnounceResult>;
  /** Takes back the announcement, if it is still this incarnation's: the agent stops. */
  withdraw(backend: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): Promise<void>;
  /** Backends whose announcement has not run out. */
  backends(): Promise<BackendAnnouncement[]>;

  /**
   * Tells of the sessions of one backend that somebody else took from under it: an adopt, or a commit or tombstone of a newer
   * epoch, that met an active record of this owner. So an owner that was only cut off stops serving what it has lost,
   * without waiting for its next commit to be fenced.
   */
  watchTaken(owner: string, watcher: TakenWatcher): TakenWatch;

  /** Sets what an operator asked for; resolves with it as it stands, `revision` and `remainingMs` filled in. */
  setBackendState(change: BackendStateChange): Promise<SharedBackendState>;
  /** What operators have asked for the backends of an application; a backend that never was changed is not among them. */
  backendStates(application: string): Promise<SharedBackendState[]>;

  /**
   * How long what the store says of the past must not be relied on, milliseconds; 0: it can be. The store was restarted, has
   * failed over or was emptied, and those who own sessions are given time (`store.settle`) to write again what it may have
   * forgotten. Until then an absent record, an old epoch or a missing tombstone means nothing; what an owner commits counts.
   * Known without asking the store: adapters find out when they connect, before any operation goes through.
   */
  readonly settlingMs: number;
  /** Calls back each time settling begins; returns how to stop that. */
  onSettling(listener: () => void): () => void;
  /** Prolongs the settling for everybody, to at least `ms` from now: an owner is not done yet. */
  prolongSettling(ms: number): Promise<void>;

  /** Asks the store for a sign of life; rejects when there is none. Returns what an operator should change about it. */
  check(): Promise<StoreWarning[]>;
  close(): Promise<void>;
}
