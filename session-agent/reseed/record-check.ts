import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import { lossBy } from '../ownership/claim.ts';
import { forEachAtOnce } from '../ownership/for-each-at-once.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { isOutage, type StoreHealth } from '../replicator/store-health.ts';

export interface RecordCheckParts {
  readonly backend: string;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly committer: Committer;
  readonly replicator: Replicator;
  readonly counters: Counters;
  readonly logger: Logger;
  /** Sessions looked at at once. */
  readonly concurrency: number;
}

/**
 * Holds what this agent believes to own to what the store says. What the store has forgotten is written again, in the epoch in
 * which the agent owns it; what has a newer epoch, another owner or a tombstone is lost.
 */
export class RecordCheck {
  readonly #parts: RecordCheckParts;

  constructor(parts: RecordCheckParts) {
    this.#parts = parts;
  }

  /**
   * Resolves with how many were lost. Rejects when the store is away, or was when something had to be written again: then all of
   * them are to be looked at again. One that fails for a reason of its own holds up nobody: while an agent is not done, no session of
   * the installation may change its owner.
   */
  async all(sessions: Iterable<OwnedSession>, signal: AbortSignal): Promise<number> {
    const { queue, concurrency } = this.#parts;
    let lost = 0;
    await forEachAtOnce(sessions, concurrency, signal, async (session) => {
      if ((await queue.run(session.id, () => this.#look(session))) === 'lost') lost++;
    });
    return lost;
  }

  async #look(session: OwnedSession): Promise<'lost' | undefined> {
    const { backend, store, health, owned, committer, replicator, counters, logger } = this.#parts;
    if (!owned.isCurrent(session)) return undefined;
    const record = await health.watch(store.lookup(session.key)).catch((error: unknown) => {
      // Whoever would take it over cannot read it either.
      if (asStickshiftError(error).code !== 'STORE_INVALID') throw error;
      logger.error({ err: error, [ATTRIBUTE.sessionKey]: session.key }, 'the record of a session is damaged');
      return 'damaged' as const;
    });
    if (record === 'damaged') return undefined;
    const loss = record && lossBy(record, session.epoch, backend);
    if (loss) {
      await committer.lose(session, loss);
      return 'lost';
    }
    // What was never committed is on its way there anyhow. What was, and has to be written again, is proven.
    if (session.committedSeq === 0 && !session.proven) return undefined;
    if (
      record &&
      session.committedSeq > 0 &&
      record.epoch === session.epoch &&
      record.seq >= session.committedSeq
    )
      return undefined;
    replicator.recreate(session);
    const result = await committer.commit(session);
    // Until it stands, somebody might take an older record for the session, or none.
    if (result.outcome === 'failed' && isOutage(result.failure.code)) throw result.failure;
    if (result.outcome === 'committed') counters.reseeded++;
    // The replicator has it among what is dirty, and tries on.
    else logger.debug({ outcome: result.outcome }, 'a session that the store has forgotten is not there yet');
    return undefined;
  }
}
