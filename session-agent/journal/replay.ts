import type { Logger } from 'pino';
import { asStickshiftError, type ErrorCode } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { CommitResult, SnapshotStore, StoredRecord } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import { forEachAtOnce } from '../ownership/for-each-at-once.ts';
import { pause } from '../ownership/pause.ts';
import { BACKOFF, type BackoffTimes, jitteredBackoff, type StoreHealth } from '../replicator/store-health.ts';
import type { Tombstones } from '../reseed/tombstones.ts';
import { sealingOf } from '../snapshot/envelope.ts';
import type { JournaledLogout, JournaledSnapshot } from './entry.ts';
import type { Journal } from './journal.ts';

export interface ReplayParts {
  readonly backend: string;
  readonly journal: Journal | undefined;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly tombstones: Tombstones;
  readonly counters: Counters;
  readonly logger: Logger;
  /** Commits under way at once. */
  readonly concurrency: number;
  /** Waits between attempts. */
  readonly times?: BackoffTimes;
}

/** Brings what a former life of the agent could not commit to the store, before this one begins to own anything. */
export class Replay {
  readonly #parts: ReplayParts;
  readonly #done = Promise.withResolvers<void>();
  #isDone = false;
  #failure: ErrorCode | undefined;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Code of what holds it up. */
  get failure(): ErrorCode | undefined {
    return this.#failure;
  }

  whenDone(): Promise<void> {
    return this.#done.promise;
  }

  /** Tries until everything is settled, or `signal` is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { journal, counters, logger, times = BACKOFF } = this.#parts;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await this.#round(signal);
        if (signal.aborted) return;
        const { replayed, lostAtTakeover: lost } = counters;
        if (replayed + lost > 0) logger.info({ replayed, lost }, 'the journal has been brought to the store');
        this.#isDone = true;
        this.#done.resolve();
        return;
      } catch (error) {
        const failure = asStickshiftError(error);
        this.#failure = failure.code;
        if (failures === 0) {
          const entries = journal?.outstanding().length;
          logger.warn({ err: failure, entries }, 'the journal cannot be brought to the store yet; trying on');
        }
        await pause(jitteredBackoff(failures, times), signal);
      }
    }
  }

  /** Rejects with the first failure; what failed stays outstanding. */
  async #round(signal: AbortSignal): Promise<void> {
    const { journal, concurrency, logger } = this.#parts;
    if (!journal) return;
    await forEachAtOnce(journal.outstanding(), concurrency, signal, async (key) => {
      const entry = await journal.read(key).catch((error: unknown) => {
        logger.error({ err: error, [ATTRIBUTE.sessionKey]: key }, 'an entry of the journal is given up');
        journal.settle(key);
      });
      try {
        if (entry?.kind === 'logout') await this.#end(entry);
        if (entry?.kind === 'snapshot') await this.#commit(journal, entry);
      } catch (error) {
        // One record that nobody can read must not keep the agent from being ready. The entry stays for the next start.
        if (asStickshiftError(error).code !== 'STORE_INVALID') throw error;
        logger.error({ err: error, [ATTRIBUTE.sessionKey]: key }, 'the record of a session is damaged');
      }
    });
  }

  async #end({ key, epoch, until }: JournaledLogout): Promise<void> {
    const { backend, store, health, tombstones, counters, logger } = this.#parts;
    const { outcome } = await health.watch(store.end(key, { owner: backend, epoch, until }));
    if (outcome === 'ended') {
      counters.replayed++;
      tombstones.stands(key, until);
    } else {
      tombstones.refused(key);
      logger.warn(
        { [ATTRIBUTE.sessionKey]: key },
        'a logout of a former life came too late: another backend had taken the session over',
      );
    }
  }

  async #commit(journal: Journal, entry: JournaledSnapshot): Promise<void> {
    const { counters, logger } = this.#parts;
    const { key, deadlines } = entry;
    const expiresAt = Math.min(deadlines.idleAt, deadlines.absoluteAt ?? Number.POSITIVE_INFINITY);
    const outcome = expiresAt <= Date.now() ? 'expired' : await this.#bring(entry);
    journal.settle(key);
    if (outcome === 'committed') counters.replayed++;
    if (outcome !== 'fenced' && outcome !== 'ended') return;
    counters.lostAtTakeover++;
    logger.warn(
      { [ATTRIBUTE.sessionKey]: key, outcome },
      'changes that were acknowledged from the journal are lost: the session was taken over or logged out before the store was back',
    );
  }

  async #bring(entry: JournaledSnapshot): Promise<CommitResult['outcome']> {
    const { backend, store, health } = this.#parts;
    const { key, epoch, seq, snapshot, deadlines, proven } = entry;
    if (!proven) {
      const record = await health.watch(store.read(key));
      if (record) {
        const whose = this.#recognise(record, entry);
        if (whose !== 'older') return whose;
      }
    }
    const commit = { owner: backend, epoch, seq, snapshot, deadlines };
    return (await health.watch(store.commit(key, commit))).outcome;
  }

  /** Whether the record under an ID that the app made up is this very commit, the one before it, or somebody else's session. */
  #recognise(record: StoredRecord, entry: JournaledSnapshot): 'committed' | 'older' | 'fenced' | 'ended' {
    if (record.state === 'ended') return 'ended';
    const sealing = sealingOf(record.snapshot);
    if (sealing === sealingOf(entry.snapshot)) return 'committed';
    return record.owner === this.#parts.backend && sealing === entry.doubt ? 'older' : 'fenced';
  }
}
