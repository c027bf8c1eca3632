import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { CommitResult, SnapshotStore } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import type { Replacements } from '../id-change/replacements.ts';
import { lossBy } from '../ownership/claim.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { Loss, RecentLosses } from '../ownership/recent-losses.ts';
import { sealingOf } from '../snapshot/envelope.ts';
import type { SnapshotSeal } from '../snapshot/snapshot-seal.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { Capture } from './capture.ts';
import type { FreshBytes } from './fresh-bytes.ts';
import type { StoreHealth } from './store-health.ts';

export type CommitOutcome =
  /** The store holds every change up to the capture. */
  | { readonly outcome: 'committed' }
  /** The session is not this agent's any more; the app has been told to forget it. */
  | { readonly outcome: Loss }
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'unprotected' }
  /** Nothing is known, nothing is lost: to be tried again with a new capture. */
  | { readonly outcome: 'failed'; readonly failure: StickshiftError };

/** `missing`: the store has it, and too few of its replicas. */
type SentResult = CommitResult & { readonly missing?: StickshiftError };

export interface CommitterParts {
  readonly backend: string;
  readonly source: SessionSource;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly seal: SnapshotSeal;
  readonly owned: OwnedSessions;
  readonly capture: Capture;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  /** By which a session that has taken the place of another is committed. */
  readonly replacements: Pick<Replacements, 'commit'>;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** One attempt to bring one session's bytes into the store. Everything here runs inside the session's queue. */
export class Committer {
  readonly #parts: CommitterParts;
  #lacksReplicas = false;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  async commit(session: OwnedSession): Promise<CommitOutcome> {
    const { owned, capture } = this.#parts;
    if (!owned.isCurrent(session)) return { outcome: 'gone' };
    const result = await capture.take(session, session.wantedReplicas > 0);
    if (result.outcome === 'same') return { outcome: 'committed' };
    if (result.outcome !== 'fresh') return result;
    try {
      if (session.doubt !== undefined && !(await this.#isOurs(session, session.doubt))) {
        return await this.lose(session, 'fenced');
      }
      return await this.#write(session, result);
    } catch (error) {
      return { outcome: 'failed', failure: asStickshiftError(error) };
    }
  }

  /** Seals captured bytes as the session's next commit. The seq is used up, whatever becomes of it. */
  async seal(
    session: OwnedSession,
    { captured }: FreshBytes,
  ): Promise<{ seq: number; snapshot: Uint8Array }> {
    const seq = ++session.seq;
    const snapshot = await this.#parts.seal.seal(
      session.key,
      { epoch: session.epoch, seq },
      {
        source: this.#parts.source.kind,
        sessionId: session.id,
        idleAt: captured.idleAt,
        data: captured.data,
      },
    );
    return { seq, snapshot };
  }

  /** The store confirmed a commit. */
  confirmed(session: OwnedSession, bytes: FreshBytes, seq: number, size: number): void {
    session.proven = true;
    session.doubt = undefined;
    session.committedSeq = seq;
    session.digest = bytes.digest;
    session.size = size;
    session.committedAt = performance.now();
    session.storedIdleAt = bytes.captured.idleAt;
    this.#parts.counters.commits.committed++;
    this.#parts.capture.covered(session, bytes.changes);
  }

  /**
   * The record is somebody else's, or a tombstone: the app's copy must go, before anyone sees more of it. A tombstone was put there
   * by others: whoever has been told of that logout must not see an answer that this app still has on its way.
   */
  async lose(session: OwnedSession, loss: Loss): Promise<{ readonly outcome: Loss }> {
    const { owned, losses, forgetter } = this.#parts;
    const answer = loss === 'ended' ? 'late' : loss;
    losses.note(session.id, answer);
    owned.delete(session, { outcome: answer });
    await forgetter.forgetLost(session.id, session.key);
    return { outcome: loss };
  }

  /**
   * A commit was refused as stale. True when the record is ours all the same, for instance after the store fell back to
   * an older state of itself and came forward again; `session.seq` is then past the record's.
   */
  async catchUp(session: OwnedSession): Promise<boolean> {
    const { store, health, backend } = this.#parts;
    // An unproven session came from the app, and so the record is that of an earlier session by this ID.
    if (!session.proven) return false;
    const record = await health.watch(store.lookup(session.key));
    if (!record) return true;
    if (lossBy(record, session.epoch, backend)) return false;
    session.seq = Math.max(session.seq, record.seq);
    return true;
  }

  async #write(session: OwnedSession, bytes: FreshBytes, mayCatchUp = true): Promise<CommitOutcome> {
    const { counters, capture } = this.#parts;
    const sealed = await this.seal(session, bytes).catch((error: unknown) => asStickshiftError(error));
    if (sealed instanceof StickshiftError) {
      capture.giveUp(session, bytes.changes, 'not-capturable', sealed);
      return { outcome: 'unprotected' };
    }
    const replicas = Math.max(session.wantedReplicas, session.usualReplicas);
    const result = await this.#send(session, bytes, sealed, replicas);
    if (result.outcome === 'committed') {
      const onReplicas = result.missing ? 0 : replicas;
      if (onReplicas > 0) session.replicated = { seq: sealed.seq, replicas };
      this.confirmed(session, bytes, sealed.seq, sealed.snapshot.length);
      return result.missing ? { outcome: 'failed', failure: result.missing } : result;
    }
    counters.commits[result.outcome]++;
    if (result.outcome !== 'stale') return this.lose(session, result.outcome);
    if (mayCatchUp && (await this.catchUp(session))) return this.#write(session, bytes, false);
    return this.lose(session, 'fenced');
  }

  async #send(
    session: OwnedSession,
    bytes: FreshBytes,
    sealed: { readonly seq: number; readonly snapshot: Uint8Array },
    replicas: number,
  ): Promise<SentResult> {
    const { store, health, replacements, backend, counters } = this.#parts;
    const deadlines = { idleAt: bytes.captured.idleAt, absoluteAt: session.absoluteAt };
    const commit = {
      ...{ owner: backend, epoch: session.epoch, ...sealed, deadlines },
      ...(replicas > 0 && { replicas }),
    };
    try {
      const committed =
        replacements.commit(session, commit) ?? health.watch(store.commit(session.key, commit));
      const result = await committed;
      if (replicas > 0) this.#learnOfReplicas(undefined);
      return result;
    } catch (error) {
      const failure = asStickshiftError(error);
      // It stands, and is the newest; those who asked for replicas have it tried again.
      if (failure.code === 'STORE_NOT_REPLICATED') {
        this.#learnOfReplicas(failure);
        return { outcome: 'committed', missing: failure };
      }
      counters.commits.failed++;
      if (!session.proven) {
        // Certainly without effect: the seq is free again. A first commit must have seq 1, or it could pass for a later
        // commit of somebody else's session with this ID.
        if (failure.code === 'STORE_UNREACHABLE') session.seq--;
        else session.doubt = sealingOf(sealed.snapshot);
      }
      throw error;
    }
  }

  /** Every commit of every session meets the same replicas: said once, and once more when they are back. */
  #learnOfReplicas(missing: StickshiftError | undefined): void {
    const { logger } = this.#parts;
    if (missing && !this.#lacksReplicas) {
      logger.error({ err: missing }, 'the store has too few replicas; who asks for them gets no answer');
    } else if (!missing && this.#lacksReplicas) {
      logger.info('the store has its replicas again');
    }
    this.#lacksReplicas = missing !== undefined;
  }

  /** After a first commit of unknown fate: is the record, if there is one, that commit? */
  async #isOurs(session: OwnedSession, sealing: string): Promise<boolean> {
    const { store, health, backend } = this.#parts;
    const record = await health.watch(store.read(session.key));
    if (record) {
      const ours =
        record.state === 'active' && record.owner === backend && sealingOf(record.snapshot) === sealing;
      if (!ours) return false;
      session.committedSeq = record.seq;
    }
    // No record, or our own: whatever appears from now on under our name and this epoch is ours.
    session.proven = true;
    session.doubt = undefined;
    return true;
  }
}
