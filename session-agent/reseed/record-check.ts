import type { Logger } from 'pino';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import { lossBy } from '../ownership/claim.ts';
import { forEachAtOnce } from '../ownership/for-each-at-once.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { StoreHealth } from '../replicator/store-health.ts';

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

  /** Resolves with how many were lost. Rejects when the store is away: then all of them are to be looked at again. */
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
    const record = await health.watch(store.lookup(session.key));
    const loss = record && lossBy(record, session.epoch, backend);
    if (loss) {
      await committer.lose(session, loss);
      return 'lost';
    }
    // What was never committed is on its way there anyhow.
    if (session.committedSeq === 0) return undefined;
    if (record && record.epoch === session.epoch && record.seq >= session.committedSeq) return undefined;
    replicator.recreate(session);
    const { outcome } = await committer.commit(session);
    if (outcome === 'committed') counters.reseeded++;
    // The replicator has it among what is dirty, and tries on.
    else logger.debug({ outcome }, 'a session that the store has forgotten is not there yet');
    return undefined;
  }
}
