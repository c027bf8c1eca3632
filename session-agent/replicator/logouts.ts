import type { Logger } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Leases } from '../leases/leases.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import { within } from '../ownership/within.ts';
import type { Tombstones } from '../reseed/tombstones.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
import type { Dispatcher } from './dispatcher.ts';
import { BACKOFF, type BackoffTimes, isOutage, jitteredBackoff, type StoreHealth } from './store-health.ts';

/** How long the app waits for a tombstone before it hears that there is none yet, milliseconds. */
const LOGOUT_WAIT_MS = 5_000;

export interface LogoutsParts {
  readonly backend: string;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly dispatcher: Dispatcher;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  readonly leases: Leases;
  readonly tombstones: Tombstones;
  readonly formerOwners: FormerOwners;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly logger: Logger;
  /** How long a tombstone stands, at least, milliseconds. */
  readonly tombstoneMs: number;
  /** Most tombstones that may be due at once; a logout beyond it is refused. */
  readonly limit: number;
  /** Default: 5 s. */
  readonly waitMs?: number;
  readonly times?: BackoffTimes;
}

/** A tombstone that does not stand yet. */
interface DueTombstone {
  readonly sessionId: string;
  readonly key: SessionKey;
  readonly epoch: number;
  readonly until: number;
  readonly stands: Promise<SessionCommit>;
  readonly settle: (commit: SessionCommit) => void;
  /** The app has changed the session since. */
  isLate: boolean;
  /** The journal has it, or is about to. */
  isJournaled: boolean;
  failures: number;
  lastFailure: StickshiftError | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Sees to it that a session that was logged out gets its tombstone, and that nothing happens to it before. */
export class Logouts {
  readonly #parts: LogoutsParts;
  readonly #due = new Map<string, DueTombstone>();

  constructor(parts: LogoutsParts) {
    this.#parts = parts;
  }

  /** Tombstones that neither stand nor are in the journal. */
  get unsaved(): number {
    let unsaved = 0;
    for (const { isJournaled } of this.#due.values()) if (!isJournaled) unsaved++;
    return unsaved;
  }

  /**
   * What becomes of the session's tombstone; `undefined` when none is due. Resolves with `ended` or `fenced`, or with `late` when
   * the app has changed the session after its logout.
   */
  due(sessionId: string): Promise<SessionCommit> | undefined {
    const tombstone = this.#due.get(sessionId);
    return tombstone?.stands.then((commit) =>
      commit.outcome === 'ended' && tombstone.isLate ? { outcome: 'late' } : commit,
    );
  }

  allDue(): Promise<SessionCommit>[] {
    return [...this.#due.values()].map(({ stands }) => stands);
  }

  /** Code of the last failure to write the session's tombstone. */
  failure(sessionId: string): string | undefined {
    return this.#due.get(sessionId)?.lastFailure?.code;
  }

  /**
   * Writes the tombstone, in the background if need be; resolves when nobody serves the session any more. Rejects when the
   * tombstone does not stand in time, with the store's error, or with `COMMIT_FENCED` when the session is somebody else's.
   */
  async end(sessionId: string): Promise<void> {
    const tombstone = this.#due.get(sessionId) ?? this.#begin(sessionId);
    const { dispatcher, formerOwners, waitMs = LOGOUT_WAIT_MS } = this.#parts;
    const commit = await dispatcher.hurry(within(tombstone.stands, waitMs));
    if (commit?.outcome === 'ended') return formerOwners.gone(sessionId);
    if (commit)
      throw new StickshiftError('COMMIT_FENCED', 'the session was logged out where it does not live');
    throw (
      tombstone.lastFailure ??
      new StickshiftError('STORE_TIMEOUT', 'the tombstone could not be written in time')
    );
  }

  /** Writes the tombstone in the background. `isLate`: the app has, or may have, changed the session since it ended. */
  retire(sessionId: string, isLate = false): void {
    try {
      const tombstone = this.#due.get(sessionId) ?? this.#begin(sessionId);
      tombstone.isLate ||= isLate;
    } catch (error) {
      const key = this.#parts.owned.keyOf(sessionId);
      this.#parts.logger.error({ err: error, [ATTRIBUTE.sessionKey]: key }, 'a session cannot be ended');
    }
  }

  /** The app has changed a session. True when it was logged out before, and its tombstone is still due. */
  takesChange(sessionId: string): boolean {
    const tombstone = this.#due.get(sessionId);
    if (tombstone) tombstone.isLate = true;
    return tombstone !== undefined;
  }

  stop(): void {
    for (const tombstone of this.#due.values()) clearTimeout(tombstone.timer);
  }

  #begin(sessionId: string): DueTombstone {
    const { owned, health, limit, tombstoneMs } = this.#parts;
    if (this.#due.size >= limit) {
      throw new StickshiftError('STORE_UNREACHABLE', 'too many logouts wait for the store already');
    }
    const now = Date.now();
    const session = owned.get(sessionId);
    const { promise, resolve } = Promise.withResolvers<SessionCommit>();
    const tombstone: DueTombstone = {
      sessionId,
      key: owned.keyOf(sessionId),
      // 0: the store decides whether it may be ours. So for a first commit of unknown fate too.
      epoch: session?.proven ? session.epoch : 0,
      until: now + Math.max(tombstoneMs, session ? session.expiresAt - now : 0),
      stands: promise,
      settle: resolve,
      isLate: false,
      isJournaled: false,
      failures: 0,
      lastFailure: undefined,
      timer: undefined,
    };
    this.#due.set(sessionId, tombstone);
    if (session) {
      const waiters = [...session.waiters];
      session.waiters.clear();
      void promise.then((commit) => {
        for (const waiter of waiters) waiter.settle(commit);
      });
      owned.delete(session, { outcome: 'ended' });
    }
    owned.dropOverflow(sessionId);
    if (!health.isOk) this.#journal(tombstone);
    this.#enqueue(tombstone);
    return tombstone;
  }

  /** The store cannot have it now: an agent that is killed meanwhile must not forget the logout. */
  #journal(tombstone: DueTombstone): void {
    if (tombstone.isJournaled) return;
    tombstone.isJournaled = true;
    const { tombstones } = this.#parts;
    void tombstones.due(tombstone.key, tombstone.epoch, tombstone.until).then((isKept) => {
      tombstone.isJournaled = isKept;
    });
  }

  #enqueue(tombstone: DueTombstone): void {
    this.#parts.dispatcher.add('end', tombstone.sessionId, () => this.#write(tombstone));
  }

  async #write(tombstone: DueTombstone): Promise<void> {
    const { backend, queue, store, health, losses, leases, tombstones, forgetter, logger } = this.#parts;
    const { sessionId, key, epoch, until } = tombstone;
    try {
      await queue.run(sessionId, async () => {
        const { outcome } = await health.watch(store.end(key, { owner: backend, epoch, until }));
        this.#due.delete(sessionId);
        if (outcome === 'ended') tombstones.stands(key, until);
        else tombstones.refused(key);
        losses.note(sessionId, outcome === 'ended' && tombstone.isLate ? 'late' : outcome);
        leases.tell([sessionId]);
        // A request that ran beside the logout may have put the session back.
        await forgetter.forget(sessionId, key);
        tombstone.settle({ outcome });
      });
    } catch (error) {
      const failure =
        error instanceof StickshiftError ? error : new StickshiftError('INTERNAL', String(error));
      tombstone.lastFailure = failure;
      this.#journal(tombstone);
      if (isOutage(failure.code)) {
        this.#enqueue(tombstone);
        return;
      }
      logger.warn(
        { err: failure, [ATTRIBUTE.sessionKey]: key },
        'a tombstone could not be written; it is tried again',
      );
      const delayMs = jitteredBackoff(tombstone.failures++, this.#parts.times ?? BACKOFF);
      tombstone.timer = setTimeout(() => this.#enqueue(tombstone), delayMs);
    }
  }
}
