import type { Logger } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import { type Capture, wholeMs } from './capture.ts';
import type { CommitOutcome, Committer } from './committer.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Journaling } from './journaling.ts';
import { Resting } from './resting.ts';
import { BACKOFF, type BackoffTimes, isOutage, jitteredBackoff, type StoreHealth } from './store-health.ts';
import { isTouchDue } from './touch-policy.ts';
import type { UnsavedWrites } from './unsaved-writes.ts';

/** Captures that fail in a row, with the app there, before a session counts as not capturable. */
const CAPTURE_FAILURES = 5;

export interface ReplicatorParts {
  readonly backend: string;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly dispatcher: Dispatcher;
  readonly committer: Committer;
  readonly capture: Capture;
  readonly journaling: Journaling;
  readonly unsaved: UnsavedWrites;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly logger: Logger;
  /** False while the app cannot be reached: its sessions wait until it is back. */
  readonly isAttached: () => boolean;
  /** Default: {@link BACKOFF}. */
  readonly times?: BackoffTimes;
}

/** What somebody who waits for a commit is content with. */
export interface CommitWish {
  /** Replicas of the store that must have it too; 0: none. */
  readonly replicas: number;
  /** While the store is away, the agent's journal will do. */
  readonly journal: boolean;
}

export const STORE_WISH: CommitWish = { replicas: 0, journal: false };

/** Decides when a session that changed is committed, and when a moved idle deadline is written. */
export class Replicator {
  readonly #parts: ReplicatorParts;
  readonly #times: BackoffTimes;
  readonly #resting: Resting;
  /** Sessions whose commit is under way: a change now is committed after it, once, however many there are. */
  readonly #committing = new Set<string>();

  constructor(parts: ReplicatorParts) {
    this.#parts = parts;
    this.#times = parts.times ?? BACKOFF;
    this.#resting = new Resting((sessionId) => this.#enqueue(sessionId));
    parts.health.onLost = () => this.#journalAwaited();
  }

  /** The app has, or may have, new bytes for the session. */
  changed(session: OwnedSession): void {
    session.inApp = true;
    this.#parts.owned.markChanged(session);
    this.#enqueue(session.id);
  }

  touched(session: OwnedSession, idleAt: number): void {
    session.inApp = true;
    session.idleAt = wholeMs(idleAt);
    this.writeTouchIf(session, isTouchDue(session, Date.now()));
  }

  /** Has the store's idle deadline moved in the background. A session that is dirty gets it with its commit. */
  writeTouchIf(session: OwnedSession, due: boolean): void {
    if (!due || session.isDirty || session.committedSeq === 0) return;
    this.#parts.dispatcher.add('touch', session.id, () => this.#runTouch(session));
  }

  /** Resolves when all changes known now are dealt with, however long that takes; never, once `late` is aborted. */
  covered(
    session: OwnedSession,
    late: AbortSignal,
    { replicas, journal }: CommitWish = STORE_WISH,
  ): Promise<SessionCommit> {
    session.usualReplicas = replicas;
    if (!session.isDirty) {
      if (session.unprotected) return Promise.resolve({ outcome: 'unprotected' });
      if (session.committedSeq === 0) return Promise.resolve({ outcome: 'not-held' });
      if (session.isOnReplicas(replicas)) {
        return Promise.resolve({ outcome: 'committed', epoch: session.epoch, seq: session.committedSeq });
      }
    }
    return new Promise((settle) => {
      const waiter = { changes: session.changes, replicas, journal, settle };
      session.waiters.add(waiter);
      // In a long outage those who gave up would otherwise pile up here.
      late.addEventListener('abort', () => session.waiters.delete(waiter), { once: true });
      this.#resting.hasten(session.id, this.#times.hurried);
      this.#enqueue(session.id);
      if (journal && (!this.#parts.health.isOk || session.failures > 0)) this.#journal(session);
      else if (!this.#parts.health.isOk) this.#parts.unsaved.note([session]);
    });
  }

  /** Tries everything again that waits for the app, which is back. */
  retryAll(): void {
    for (const session of this.#parts.owned.dirty) {
      this.#resting.delete(session.id);
      this.#enqueue(session.id);
    }
  }

  /** The store let the record go while the app goes on with the session: its bytes have to be written anew. */
  recreate(session: OwnedSession): void {
    session.committedSeq = 0;
    session.digest = '';
    this.#parts.owned.markChanged(session);
    this.#enqueue(session.id);
  }

  stop(): void {
    this.#resting.stop();
  }

  /** The store has just turned out to be away: those who wait for it already need not wait on. */
  #journalAwaited(): void {
    const { owned, unsaved } = this.#parts;
    const dirty = [...owned.dirty];
    for (const session of dirty) if (session.awaitsJournal) this.#journal(session);
    unsaved.note(dirty.filter((session) => session.awaitsStore));
  }

  #journal(session: OwnedSession): void {
    void this.#parts.journaling.save(session);
  }

  #enqueue(sessionId: string): void {
    const { dispatcher, owned } = this.#parts;
    if (this.#committing.has(sessionId) || this.#resting.has(sessionId)) return;
    const session = owned.get(sessionId);
    if (!session) return;
    const lane = session.waiters.size > 0 ? 'awaited' : 'commit';
    if (lane === 'commit' && dispatcher.has('awaited', sessionId)) return;
    if (lane === 'awaited') dispatcher.remove('commit', sessionId);
    dispatcher.add(lane, sessionId, () => this.#runCommit(sessionId));
  }

  async #runCommit(sessionId: string): Promise<void> {
    const { queue, owned, committer } = this.#parts;
    this.#committing.add(sessionId);
    let session: OwnedSession | undefined;
    let result: CommitOutcome | undefined;
    try {
      await queue.run(sessionId, async () => {
        session = owned.get(sessionId);
        if (session) result = await committer.commit(session);
      });
    } catch (error) {
      result = { outcome: 'failed', failure: asStickshiftError(error) };
    } finally {
      this.#committing.delete(sessionId);
    }
    if (!session || !result || !owned.isCurrent(session)) return;
    if (result.outcome === 'failed') this.#retry(session, result.failure);
    else if (session.isDirty || session.wantedReplicas > 0) this.#enqueue(sessionId);
  }

  #retry(session: OwnedSession, failure: StickshiftError): void {
    const { capture, logger, isAttached } = this.#parts;
    session.lastFailure = failure.code;
    if (failure.source === 'store') this.#journal(session);
    // The store is away for everybody; the dispatcher knows when to go on.
    if (isOutage(failure.code)) {
      this.#enqueue(session.id);
      return;
    }
    if (failure.code === 'STORE_NOT_REPLICATED') {
      // What matters of it is in the store; only those who wait want more.
      if (session.waiters.size > 0) this.#resting.add(session.id, this.#times.hurried);
      else if (session.isDirty) this.#enqueue(session.id);
      return;
    }
    if (failure.code === 'SOURCE_FAILED') {
      if (!isAttached()) return;
      if (session.failures + 1 >= CAPTURE_FAILURES) {
        capture.giveUp(session, session.changes, 'not-capturable', failure);
      }
    } else if (session.failures === 0) {
      logger.warn(
        { err: failure, [ATTRIBUTE.sessionKey]: session.key },
        'a commit failed; it is tried again',
      );
    }
    const backoffMs = jitteredBackoff(session.failures++, this.#times);
    this.#resting.add(
      session.id,
      session.waiters.size > 0 ? Math.min(backoffMs, this.#times.hurried) : backoffMs,
    );
  }

  async #runTouch(session: OwnedSession): Promise<void> {
    const { queue, owned, committer, store, health, backend, logger } = this.#parts;
    try {
      await queue.run(session.id, async () => {
        if (!owned.isCurrent(session) || session.isDirty) return;
        const { idleAt } = session;
        const { outcome } = await health.watch(
          store.touch(session.key, { owner: backend, epoch: session.epoch, deadlines: session.deadlines }),
        );
        if (outcome === 'touched') session.storedIdleAt = idleAt;
        else if (outcome === 'absent') this.recreate(session);
        else await committer.lose(session, outcome);
      });
    } catch (error) {
      // The next use of the session, or the sweep before its stored deadline, tries again.
      logger.debug(
        { err: error, [ATTRIBUTE.sessionKey]: session.key },
        'an idle deadline could not be written',
      );
    }
  }
}
