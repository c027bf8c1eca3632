import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import { forEachAtOnce } from '../ownership/for-each-at-once.ts';
import { ON_NO_REPLICA } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import { pause } from '../ownership/pause.ts';
import { BACKOFF, type BackoffTimes, jitteredBackoff, type StoreHealth } from '../replicator/store-health.ts';
import type { RecordCheck } from './record-check.ts';
import type { Tombstones } from './tombstones.ts';

/** Most agents are done before that, and need no more time; milliseconds. */
const FIRST_LOOK_MS = 200;
const LOOK_EVERY_MS = 500;
/** An agent that is not done when less than this is left prolongs the settling: others may learn of that 3 s later, … */
const SHORT_MS = 3_500;
/** … to this. */
const PROLONG_MS = 6_000;

export interface ReseedingParts {
  readonly backend: string;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly recordCheck: RecordCheck;
  readonly tombstones: Tombstones;
  readonly counters: Counters;
  readonly logger: Logger;
  /** Sessions looked at at once. */
  readonly concurrency: number;
  readonly times?: BackoffTimes;
}

/**
 * Each time the store may have lost data, gives it back what this agent knows: the sessions that it owns, in the epochs in
 * which it owns them, and tombstones that stood. The store keeps settling until that is done.
 */
export class Reseeding {
  readonly #parts: ReseedingParts;
  #run: AbortController | undefined;
  #stopListening: () => void = () => undefined;

  constructor(parts: ReseedingParts) {
    this.#parts = parts;
  }

  get isUnderWay(): boolean {
    return this.#run !== undefined;
  }

  start(): void {
    const { store } = this.#parts;
    this.#stopListening = store.onSettling(() => void this.#begin());
    // It may have begun before anybody listened.
    if (store.settlingMs > 0) void this.#begin();
  }

  stop(): void {
    this.#stopListening();
    this.#run?.abort();
  }

  /** Anew if one is under way: what it has seen already may be lost again. */
  async #begin(): Promise<void> {
    const { owned, tombstones, counters, logger, times = BACKOFF } = this.#parts;
    this.#run?.abort();
    if (owned.size === 0 && tombstones.standing().next().done) return;
    const run = new AbortController();
    this.#run = run;
    const before = counters.reseeded;
    logger.warn(
      { sessions: owned.size },
      'the store may have lost data; writing again what it has forgotten',
    );
    const prolonging = this.#prolong(run.signal);
    for (let failures = 0; !run.signal.aborted; failures++) {
      try {
        await this.#round(run.signal);
        if (!run.signal.aborted) {
          logger.info({ written: counters.reseeded - before }, 'the store has again what this agent knows');
        }
        break;
      } catch (error) {
        if (failures === 0)
          logger.warn({ err: asStickshiftError(error) }, 'cannot look into the store; trying on');
        await pause(jitteredBackoff(failures, times), run.signal);
      }
    }
    if (this.#run === run) this.#run = undefined;
    run.abort();
    await prolonging;
  }

  async #prolong(signal: AbortSignal): Promise<void> {
    const { store, logger } = this.#parts;
    await pause(Math.min(FIRST_LOOK_MS, store.settlingMs / 2), signal);
    for (; !signal.aborted; await pause(LOOK_EVERY_MS, signal)) {
      if (store.settlingMs >= SHORT_MS) continue;
      await store.prolongSettling(PROLONG_MS).catch((error: unknown) => {
        logger.debug({ err: error }, 'the settling of the store could not be prolonged');
      });
    }
  }

  /** Rejects when the store is away: then everything is looked at again. */
  async #round(signal: AbortSignal): Promise<void> {
    const { backend, store, health, owned, recordCheck, tombstones, counters, concurrency, logger } =
      this.#parts;
    await forEachAtOnce(tombstones.standing(), concurrency, signal, async ({ key, until }) => {
      try {
        await health.watch(store.end(key, { owner: backend, epoch: 0, until, stood: true }));
        counters.reseeded++;
      } catch (error) {
        // What nobody can read brings no session back, and must not keep the store settling for everybody.
        if (asStickshiftError(error).code !== 'STORE_INVALID') throw error;
        logger.error({ err: error, [ATTRIBUTE.sessionKey]: key }, 'the record of a session is damaged');
      }
    });
    // Other replicas than those that confirmed a commit may be asked next time.
    for (const session of owned.values()) session.replicated = ON_NO_REPLICA;
    await recordCheck.all(owned.values(), signal);
  }
}
