import type { Logger } from 'pino';
import type { AdoptAnswer, ReleaseAnswer, ReleaseIdleAnswer, SessionCommit } from '../protocol/agent-api.ts';
import { StickshiftError } from '../protocol/errors.ts';
import type { SessionKey } from '../protocol/session-key.ts';
import { ATTRIBUTE } from '../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../store/snapshot-store.ts';
import { Counters } from './counters.ts';
import { Adopts } from './handoff/adopts.ts';
import { IdleReleases } from './handoff/idle-releases.ts';
import { Misses } from './handoff/misses.ts';
import { Reconciler } from './handoff/reconciler.ts';
import { Rehydration } from './handoff/rehydration.ts';
import { Releases } from './handoff/releases.ts';
import { IdChanges, type IdChangeTimes } from './id-change/id-changes.ts';
import type { JournaledTombstone } from './journal/entry.ts';
import type { Journal } from './journal/journal.ts';
import { Replay } from './journal/replay.ts';
import { Leases, type LeasesOptions } from './leases/leases.ts';
import { Forgetter } from './ownership/forgetter.ts';
import { OwnedSessions } from './ownership/owned-sessions.ts';
import { RecentLosses } from './ownership/recent-losses.ts';
import { SessionQueue } from './ownership/session-queue.ts';
import { within } from './ownership/within.ts';
import { Capture } from './replicator/capture.ts';
import { CommitAnswers, type CommitTerms } from './replicator/commit-answers.ts';
import { Committer } from './replicator/committer.ts';
import { Dispatcher } from './replicator/dispatcher.ts';
import { Expiry } from './replicator/expiry.ts';
import { Journaling } from './replicator/journaling.ts';
import { Logouts } from './replicator/logouts.ts';
import { Replicator } from './replicator/replicator.ts';
import { type BackoffTimes, StoreHealth } from './replicator/store-health.ts';
import { UncommittedBytes } from './replicator/uncommitted-bytes.ts';
import { UnsavedWrites } from './replicator/unsaved-writes.ts';
import { RecordCheck } from './reseed/record-check.ts';
import { Reseeding } from './reseed/reseeding.ts';
import { Tombstones } from './reseed/tombstones.ts';
import type { SnapshotSeal } from './snapshot/snapshot-seal.ts';
import type { CapturedSession, SessionEnd, SessionSource, SourceListener } from './sources/session-source.ts';
import { FormerOwners } from './takeover/former-owners.ts';
import { TakenSessions } from './takeover/taken-sessions.ts';

export interface SessionAgentOptions {
  readonly backend: string;
  readonly source: SessionSource;
  readonly store: SnapshotStore;
  readonly seal: SnapshotSeal;
  readonly deriveKey: (sessionId: string) => SessionKey;
  readonly logger: Logger;
  readonly limits: {
    /** Largest session that is saved, bytes. */
    readonly session: number;
    /** Most sessions looked after. */
    readonly sessions: number;
    /** Commits under way at once. */
    readonly commits: number;
  };
  readonly lifetime: {
    /** Longest life of a session, milliseconds. */
    readonly absolute: number | undefined;
    /** How long a tombstone stands at least, milliseconds. */
    readonly tombstone: number;
  };
  /** Waits between attempts. Default: 100 ms doubling to 5 s, 250 ms while a response is held. */
  readonly times?: BackoffTimes;
  /** How long a logout waits for its tombstone, milliseconds. Default: 5 s. */
  readonly logoutWaitMs?: number;
  /** How long a change of a session's ID may stay undecided. */
  readonly idChangeTimes?: IdChangeTimes;
  readonly leases?: LeasesOptions;
  /** How long this process must have been held up to have heard nothing meanwhile, milliseconds. Default: 1 s. */
  readonly standstillMs?: number;
  /** Stays open when the agent stops: whoever opened it closes it. Without one, nothing is acknowledged while the store is away. */
  readonly journal?: Journal;
  /** Tombstones that stood, as the journal has them. */
  readonly tombstones?: readonly JournaledTombstone[];
  /** Why the agent must not act as its backend: another one claims to be it. Default: never. */
  readonly barred?: () => StickshiftError | undefined;
}

/** How long the agent, once its app is there, waits for the journal to be settled before it says what holds it up, milliseconds. */
const REPLAY_PATIENCE_MS = 1_000;

/** Looks after the sessions of one app server: what it holds of them, what the store holds, and whose they are. */
export class SessionAgent implements SourceListener {
  readonly counters = new Counters();
  readonly owned: OwnedSessions;
  readonly leases: Leases;
  readonly expiry: Expiry;
  readonly taken: TakenSessions;
  readonly #options: SessionAgentOptions;
  readonly #queue = new SessionQueue();
  readonly #health: StoreHealth;
  readonly #dispatcher: Dispatcher;
  readonly #forgetter: Forgetter;
  readonly #losses: RecentLosses;
  readonly #replicator: Replicator;
  readonly #logouts: Logouts;
  readonly #idChanges: IdChanges;
  readonly #commitAnswers: CommitAnswers;
  readonly #adopts: Adopts;
  readonly #releases: Releases;
  readonly #idleReleases: IdleReleases;
  readonly #misses: Misses;
  readonly #reconciler: Reconciler;
  readonly #replay: Replay;
  readonly #reseeding: Reseeding;
  readonly #stopped = new AbortController();
  #stopping = false;

  constructor(options: SessionAgentOptions) {
    this.#options = options;
    const { backend, source, store, seal, logger, limits, lifetime, journal } = options;
    const times = options.times && { times: options.times };
    const queue = this.#queue;
    const losses = new RecentLosses();
    const leases = new Leases({ heardUntil: () => this.taken.heardUntil, ...options.leases });
    const formerOwners = new FormerOwners(leases.trustMs, leases.bornAt);
    const owned = new OwnedSessions(limits.sessions, options.deriveKey);
    const health = new StoreHealth(logger, options.times);
    const dispatcher = new Dispatcher(limits.commits, health);
    const forgetter = new Forgetter({ source, owned, queue, leases, logger });
    const tombstones = new Tombstones(journal, logger, options.tombstones);
    const uncommitted = new UncommittedBytes(journal, seal);
    const maxSession = limits.session;
    const capture = new Capture({ source, owned, maxSession, uncommitted, losses, journal, leases, logger });
    const parts = {
      ...{
        backend,
        source,
        store,
        health,
        seal,
        owned,
        queue,
        losses,
        forgetter,
        leases,
        formerOwners,
        dispatcher,
        capture,
        journal,
        tombstones,
        logger,
      },
      ...{ counters: this.counters, concurrency: limits.commits },
      ...times,
    };
    const logouts = new Logouts({
      ...parts,
      tombstoneMs: lifetime.tombstone,
      limit: limits.sessions,
      ...(options.logoutWaitMs !== undefined && { waitMs: options.logoutWaitMs }),
    });
    const idChanges = new IdChanges({
      ...{ ...parts, ...options.idChangeTimes, logouts },
      ...{ tombstoneMs: lifetime.tombstone, limit: limits.sessions },
      written: (id) => this.#changed(id),
      isReady: () => this.#reconciler.notReady === undefined,
      covered: (session, replicas) => {
        // Waits as long as the session is looked after.
        return replicator.covered(session, new AbortController().signal, { replicas, journal: false });
      },
    });
    const committer = new Committer({ ...parts, replacements: idChanges.replacements });
    const isAttached = () => this.#reconciler.isAttached;
    const taken = {
      mayInclude: (key: SessionKey) => this.taken.mayInclude(key),
      mayBeTaken: (key: SessionKey) => this.taken.mayBeTaken(key),
    };
    const unsaved = new UnsavedWrites(leases);
    const journaling = new Journaling({ ...parts, committer, taken, unsaved });
    owned.onDeleted = (session, answer) => {
      uncommitted.drop(session);
      journaling.dropped(session, answer);
    };
    const replicator = new Replicator({ ...parts, committer, journaling, unsaved, isAttached });
    const rehydration = new Rehydration({ ...parts, replicator });
    const handoff = { ...parts, committer, replicator, logouts, idChanges, rehydration, taken };

    this.owned = owned;
    this.leases = leases;
    this.#health = health;
    this.#dispatcher = dispatcher;
    this.#forgetter = forgetter;
    this.#losses = losses;
    this.#replicator = replicator;
    this.#logouts = logouts;
    this.#idChanges = idChanges;
    this.#replay = new Replay(parts);
    const recordCheck = new RecordCheck({ ...parts, committer, replicator });
    this.#reseeding = new Reseeding({ ...parts, recordCheck });
    const { standstillMs } = options;
    this.taken = new TakenSessions({ ...parts, recordCheck, ...(standstillMs && { standstillMs }) });
    const isReady = () => this.#reconciler.notReady === undefined && options.barred?.() === undefined;
    const reconciled = () => this.#reconciler.whenReady();
    this.#commitAnswers = new CommitAnswers({ ...handoff, isReady, reconciled });
    const hasAccount = () => this.#reconciler.hasAccount;
    const releases = new Releases({ ...handoff, hasAccount });
    this.#releases = releases;
    this.#idleReleases = new IdleReleases({ ...handoff, releases, hasAccount });
    this.#adopts = new Adopts({ ...handoff, isReady, releaseUnderWay: (id) => releases.underWay(id) });
    this.#misses = new Misses(handoff);
    const clearance = () => this.#clearance();
    this.#reconciler = new Reconciler({ ...handoff, clearance, ownNew: (id) => this.#changedNew(id) });
    this.expiry = new Expiry({ ...parts, replicator });
  }

  /** Why the agent is not ready; `undefined` when it is. */
  get notReady(): string | undefined {
    if (this.#stopping) return 'stopping';
    const barred = this.#options.barred?.();
    // One that waits for its app says so first: the store may not even have been asked yet.
    return barred?.code === 'BACKEND_CLAIMED'
      ? barred.message
      : (this.#reconciler.notReady ?? barred?.message);
  }

  get store(): 'ok' | 'unreachable' {
    // An agent with nothing to save hears of an outage by its subscription alone.
    return this.#health.isOk && this.taken.hearsStore ? 'ok' : 'unreachable';
  }

  async start(): Promise<void> {
    void this.#replay.run(this.#stopped.signal);
    this.#reseeding.start();
    this.taken.start();
    await this.#options.source.start(this);
    this.expiry.start();
  }

  /**
   * Ends everything within about `deadlineMs`: saves what is dirty, and stays the owner, so that the app's next start
   * finds its sessions here. Resolves with the number of sessions that could not be saved any more, not even in the journal.
   */
  async stop(deadlineMs: number): Promise<number> {
    this.#stopping = true;
    this.#stopped.abort();
    this.#reseeding.stop();
    this.expiry.stop();
    const until = performance.now() + deadlineMs;
    this.#idChanges.hasten();
    await this.#flush(deadlineMs);
    await this.#options.source.stop();
    // The source may have told of a last change while it stopped.
    await this.#flush(Math.max(0, until - performance.now()));
    this.#dispatcher.stop();
    this.#replicator.stop();
    this.#logouts.stop();
    this.#idChanges.stop();
    this.#forgetter.stop();
    this.#reconciler.stop();
    this.leases.stop();
    this.taken.stop();
    const unsaved = [...this.owned.dirty].filter((session) => !session.isJournaled).length;
    return unsaved + this.#logouts.unsaved;
  }

  // What gateways ask for

  async adopt(sessionId: string, ifEpoch: number): Promise<AdoptAnswer> {
    const undecided = await this.#idChanges.undecided(sessionId);
    return undecided ? { outcome: 'unknown', code: undecided.code } : this.#adopts.adopt(sessionId, ifEpoch);
  }

  async release(sessionId: string): Promise<ReleaseAnswer> {
    const undecided = await this.#idChanges.undecided(sessionId);
    return undecided ? { outcome: 'unknown', code: undecided.code } : this.#releases.release(sessionId);
  }

  releaseIdle(except: ReadonlySet<string>, limit: number): Promise<ReleaseIdleAnswer> {
    return this.#idleReleases.releaseIdle(except, limit);
  }

  commit(sessionIds: readonly string[], timeoutMs: number, terms?: CommitTerms): Promise<SessionCommit[]> {
    return this.#commitAnswers.commit(sessionIds, timeoutMs, terms);
  }

  // What the source tells

  changed(id: string): void {
    if (!this.#idChanges.takesChange(id)) this.#changed(id);
  }

  touched(id: string, idleAt: number): void {
    if (this.#idChanges.isRetiring(id)) return;
    const session = this.owned.get(id);
    if (session) this.#replicator.touched(session, idleAt);
    else this.changed(id);
  }

  async ended(id: string, how: SessionEnd): Promise<void> {
    if (how === 'removed') return this.#idChanges.removed(id);
    // A new ID that expires before it is saved leaves nothing that the old one could go on as.
    if (how === 'logout' || this.#idChanges.replacements.of(id)) {
      const ends = this.#idChanges.replacements.loggedOut(id).map((each) => this.#logouts.end(each));
      await Promise.all(ends);
      return;
    }
    const session = this.owned.get(id);
    if (session) this.owned.delete(session, { outcome: 'not-held' });
    this.owned.dropOverflow(id);
  }

  replaced(id: string, successor: string): Promise<void> {
    return this.#idChanges.replacements.begin(id, successor);
  }

  async missed(id: string): Promise<CapturedSession | undefined> {
    const undecided = await this.#idChanges.undecided(id, 'or retire it');
    if (undecided) throw undecided;
    // What the store says of the session may be older than what the journal has of it.
    await this.#clearance();
    return this.#misses.find(id);
  }

  attached(): void {
    this.leases.doubtAll();
    this.#idChanges.attached();
    this.#reconciler.attached();
  }

  detached(reason: string): void {
    this.leases.doubtAll();
    this.#idChanges.detached();
    this.#reconciler.detached(reason);
  }

  /** Rejects as long as nothing may be taken over: the journal is not in the store yet, or another agent claims the backend. */
  async #clearance(): Promise<void> {
    const barred = this.#options.barred?.();
    if (barred) throw barred;
    if (!this.#replay.isDone) await within(this.#replay.whenDone(), REPLAY_PATIENCE_MS);
    if (this.#replay.isDone) return;
    throw new StickshiftError(
      this.#replay.failure ?? 'STORE_UNREACHABLE',
      'the journal is not in the store yet',
    );
  }

  #changed(id: string): void {
    const session = this.owned.get(id);
    if (session) this.#replicator.changed(session);
    else if (this.#logouts.takesChange(id)) this.#forgetLater(id);
    else if (this.#forgetter.isRecalled(id)) this.#changedInVain(id);
    else if (this.#losses.isEnded(id)) this.#changedTooLate(id);
    else if (this.#reconciler.notReady !== undefined) this.#reconciler.defer(id);
    else this.#changedNew(id);
  }

  /** The app has a session that this agent never heard of. Its first commit shows whether it may have it. */
  #changedNew(id: string): void {
    const session = this.owned.add(id);
    if (!session) {
      this.#overflowed(id);
      return;
    }
    const { absolute } = this.#options.lifetime;
    session.absoluteAt = absolute === undefined ? undefined : Date.now() + absolute;
    this.#replicator.changed(session);
  }

  /** The app changed a session that is lost, and that it holds only until gateways have let go of it. */
  #changedInVain(id: string): void {
    const loss = this.#losses.get(id);
    this.#losses.note(id, loss === undefined || loss === 'fenced' ? 'fenced' : 'late');
  }

  /** The app changed a session that has ended, by an ID that it should not have taken any more. */
  #changedTooLate(id: string): void {
    this.#losses.note(id, 'late');
    this.#forgetLater(id);
  }

  #overflowed(id: string): void {
    if (!this.owned.addOverflow(id)) return;
    this.#options.logger.warn(
      { [ATTRIBUTE.sessionKey]: this.owned.keyOf(id), reason: 'limits.sessions' },
      'session is unprotected: the agent looks after as many as it may',
    );
  }

  /** A request beside the logout put the session back into the app. */
  #forgetLater(id: string): void {
    void this.#queue.run(id, () => this.#forgetter.forget(id, this.owned.keyOf(id)));
  }

  async #flush(deadlineMs: number): Promise<void> {
    const late = AbortSignal.timeout(Math.ceil(deadlineMs));
    const unsaved = [...this.owned.dirty].map((session) => {
      return this.#replicator.covered(session, late, { replicas: session.usualReplicas, journal: true });
    });
    const all = [...unsaved, ...this.#logouts.allDue()];
    if (all.length > 0) await this.#dispatcher.hurry(within(Promise.all(all), deadlineMs));
  }
}
