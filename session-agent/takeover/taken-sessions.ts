import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { SnapshotStore, TakenWatch, TakenWatcher } from '../../store/snapshot-store.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import { pause } from '../ownership/pause.ts';
import { BACKOFF, type BackoffTimes, jitteredBackoff } from '../replicator/store-health.ts';
import type { RecordCheck } from '../reseed/record-check.ts';
import { Standstills } from './standstills.ts';

/** Keys to be looked at; with more of them, everything is looked at instead. */
const MOST_KEYS = 10_000;
/** So long after it stood still, gateways may go on taking this agent for lost: they want to see more than one good check, milliseconds. */
const DISTRUSTED_MS = 3_000;
/** Within which the store is heard when it is there, milliseconds. */
const LATELY_MS = 3_000;
/** A session that is being adopted is not owned yet. It will be within this time, milliseconds. */
const ADOPT_MS = 30_000;

export interface TakenSessionsParts {
  readonly backend: string;
  readonly store: Pick<SnapshotStore, 'watchTaken'>;
  readonly owned: OwnedSessions;
  readonly recordCheck: RecordCheck;
  readonly logger: Logger;
  readonly times?: BackoffTimes;
  /** From when on this process stood still; see {@link Standstills}. */
  readonly standstillMs?: number;
}

/**
 * Has the app forget what somebody else has taken from this agent, as soon as the store tells of it: an agent that was only cut off
 * from a gateway would otherwise serve its copies until a commit of theirs is refused.
 */
export class TakenSessions implements TakenWatcher {
  readonly #parts: TakenSessionsParts;
  readonly #stopped = new AbortController();
  #watch: TakenWatch | undefined;
  /** Taken, and not looked at yet. */
  #told = new Set<SessionKey>();
  /** Taken, and being looked at. */
  #lookedAt: ReadonlySet<SessionKey> = new Set();
  /** Any session may have been taken. */
  #isAuditDue = true;
  #isAtWork = false;
  #heardUntil = Number.NEGATIVE_INFINITY;
  readonly #standstills: Standstills;
  /** Told of lately while not owned, and when, on the clock of `performance.now()`; the oldest is at the front. */
  readonly #strangers = new Map<SessionKey, number>();

  constructor(parts: TakenSessionsParts) {
    this.#parts = parts;
    this.#standstills = new Standstills(parts.standstillMs);
    parts.owned.onAdded = (session) => {
      if (this.#strangers.delete(session.key)) this.taken([session.key]);
    };
  }

  /**
   * `performance.now()`: whatever was taken before this moment has been dealt with, so that gateways are told. Stands still while
   * the store is away, and while something is being dealt with.
   */
  get heardUntil(): number {
    if (this.#watch && !this.#isAtWork && !this.#isAuditDue) this.#heardUntil = this.#watch.heardUntil;
    return this.#heardUntil;
  }

  /** Whether the store has been heard lately, whatever is still to be dealt with. */
  get hearsStore(): boolean {
    return this.#watch !== undefined && performance.now() - this.#watch.heardUntil < LATELY_MS;
  }

  /**
   * Whether others may have taken the session without this agent having dealt with it. While the store is away, that it is here is
   * then not to be told on the strength of what this agent remembers.
   */
  mayInclude(key: SessionKey): boolean {
    return this.#told.has(key) || this.#lookedAt.has(key) || this.#standstills.lastEndedAt > this.heardUntil;
  }

  /**
   * Whether others may have taken the session or may be about to: this agent stood still a moment ago, and gateways may still take it
   * for lost. What is on its own disk only is no word to give then, for the session would be taken over without it.
   */
  mayBeTaken(key: SessionKey): boolean {
    return this.mayInclude(key) || performance.now() - this.#standstills.lastEndedAt < DISTRUSTED_MS;
  }

  start(): void {
    this.#standstills.start();
    const { store, backend } = this.#parts;
    this.#watch = store.watchTaken(backend, this);
  }

  stop(): void {
    this.#standstills.stop();
    this.#watch?.stop();
    this.#stopped.abort();
  }

  taken(keys: readonly SessionKey[]): void {
    this.#standStill();
    for (const key of keys) this.#told.add(key);
    void this.#work();
  }

  missed(): void {
    this.#standStill();
    this.#isAuditDue = true;
    void this.#work();
  }

  /** What has been dealt with so far is known; what the watch hears from now on counts when the next round is over. */
  #standStill(): void {
    void this.heardUntil;
  }

  async #work(): Promise<void> {
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    const { recordCheck, logger, times = BACKOFF } = this.#parts;
    const { signal } = this.#stopped;
    for (let failures = 0; !signal.aborted && (this.#isAuditDue || this.#told.size > 0); ) {
      // What comes together is looked at together.
      await new Promise(setImmediate);
      const isAudit = this.#isAuditDue || this.#told.size > MOST_KEYS;
      const told = this.#told;
      const heardUntil = this.#watch?.heardUntil;
      this.#isAuditDue = false;
      this.#told = new Set();
      this.#lookedAt = told;
      try {
        const owned = this.#ownedAmong(told);
        const lost = await recordCheck.all(isAudit ? [...this.#parts.owned.values()] : owned, signal);
        if (signal.aborted) return;
        if (lost > 0) logger.info({ sessions: lost }, 'sessions were taken over by others');
        this.#heardUntil = heardUntil ?? this.#heardUntil;
        failures = 0;
      } catch (error) {
        this.#isAuditDue ||= isAudit;
        for (const key of told) this.#told.add(key);
        const failure = asStickshiftError(error);
        if (failures === 0) logger.warn({ err: failure }, 'cannot look for what was taken over; trying on');
        await pause(jitteredBackoff(failures++, times), signal);
      }
      this.#lookedAt = new Set();
    }
    this.#isAtWork = false;
  }

  /** In one pass: an index by key of every session would cost more than it saves. */
  #ownedAmong(told: ReadonlySet<SessionKey>): OwnedSession[] {
    const sessions = [...this.#parts.owned.values()].filter(({ key }) => told.has(key));
    const known = new Set(sessions.map(({ key }) => key));
    const now = performance.now();
    for (const key of told) if (!known.has(key)) this.#strangers.set(key, now);
    for (const [key, at] of this.#strangers) {
      if (this.#strangers.size <= MOST_KEYS && now - at < ADOPT_MS) break;
      this.#strangers.delete(key);
    }
    return sessions;
  }
}
