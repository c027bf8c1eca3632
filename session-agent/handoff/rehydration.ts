import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore, StoredRecord } from '../../store/snapshot-store.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import { digestOf } from '../replicator/fresh-bytes.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import type { SnapshotSeal } from '../snapshot/snapshot-seal.ts';
import type { CapturedSession, SessionSource } from '../sources/session-source.ts';

export interface RehydrationParts {
  readonly backend: string;
  readonly source: SessionSource;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly seal: SnapshotSeal;
  readonly owned: OwnedSessions;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  readonly replicator: Replicator;
  readonly logger: Logger;
}

/** Turns a record that this backend owns into a session that its app holds. Runs inside the session's queue. */
export class Rehydration {
  readonly #parts: RehydrationParts;

  constructor(parts: RehydrationParts) {
    this.#parts = parts;
  }

  /** Rejects, before anything is claimed, when the agent cannot look after another session. */
  assertRoom(sessionId: string): void {
    const { owned } = this.#parts;
    if (owned.isFull && !owned.get(sessionId)) {
      throw new StickshiftError('SESSION_UNPROTECTED', 'the agent looks after as many sessions as it may');
    }
  }

  /** Opens the snapshot, installs it in the app and owns the session; gives the record back when that fails. */
  async install(sessionId: string, record: StoredRecord): Promise<void> {
    const { source, owned, forgetter } = this.#parts;
    const session = await this.open(sessionId, record);
    try {
      await source.install(sessionId, session);
    } catch (error) {
      // It may have arrived all the same, and nobody would commit what the app then does to it.
      await forgetter.forget(sessionId, owned.keyOf(sessionId));
      await this.#giveBack(sessionId, record);
      throw error;
    }
    this.own(sessionId, record, digestOf(session.data));
  }

  /** Opens the snapshot of a record that this backend owns; gives the record back when it cannot be read here. */
  async open(sessionId: string, record: StoredRecord): Promise<CapturedSession> {
    const { seal, owned, source } = this.#parts;
    try {
      const payload = await seal.open(owned.keyOf(sessionId), record);
      if (payload.source !== source.kind || payload.sessionId !== sessionId) {
        throw new StickshiftError(
          'SNAPSHOT_CORRUPT',
          `the snapshot is of a ${payload.source} source and cannot go into a ${source.kind} source`,
        );
      }
      return { data: payload.data, idleAt: record.deadlines.idleAt };
    } catch (error) {
      await this.#giveBack(sessionId, record);
      throw error;
    }
  }

  /** Looks after the session from the record's commit on. `digest` of the bytes in the app; empty: not known. */
  own(sessionId: string, record: Omit<StoredRecord, 'snapshot'>, digest: string): OwnedSession {
    const { owned, losses, replicator } = this.#parts;
    const changedMeanwhile = owned.get(sessionId)?.isDirty ?? false;
    const session = owned.add(sessionId);
    if (!session) throw new StickshiftError('SESSION_UNPROTECTED', 'the agent has filled up');
    losses.clear(sessionId);
    session.epoch = record.epoch;
    session.seq = record.seq;
    session.committedSeq = record.seq;
    session.proven = true;
    session.fromApp = false;
    session.idleAt = record.deadlines.idleAt;
    session.storedIdleAt = record.deadlines.idleAt;
    session.absoluteAt = record.deadlines.absoluteAt;
    session.digest = digest;
    session.size = record.size;
    session.committedAt = performance.now() - record.ageMs;
    if (changedMeanwhile) replicator.changed(session);
    return session;
  }

  /** The record is ours but of no use here: another backend may have more luck with it. */
  async #giveBack(sessionId: string, record: StoredRecord): Promise<void> {
    const { owned, store, health, backend, logger } = this.#parts;
    const key = owned.keyOf(sessionId);
    const session = owned.get(sessionId);
    if (session) owned.delete(session, { outcome: 'fenced' });
    try {
      await health.watch(store.release(key, { owner: backend, epoch: record.epoch }));
    } catch (error) {
      // It stays ours; whoever asks for the session next gets to this point again, or further.
      logger.warn(
        { err: error, [ATTRIBUTE.sessionKey]: key },
        'a session could be neither installed nor given back',
      );
    }
  }
}
