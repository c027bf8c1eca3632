import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { Pool } from '../backends/pool.ts';
import type { GatewayCounters } from '../counters.ts';
import type { Acknowledgements } from '../hold/acknowledgements.ts';

/** Sees to it that what a takeover may lose is refused where the pool says so, and otherwise not hidden. */
export class Takeovers {
  readonly #acknowledged: Acknowledgements;
  readonly #counters: GatewayCounters;

  constructor(options: { readonly acknowledged: Acknowledgements; readonly counters: GatewayCounters }) {
    this.#acknowledged = options.acknowledged;
    this.#counters = options.counters;
  }

  /** @throws StickshiftError `SNAPSHOT_TOO_OLD` */
  assertYoungEnough({ config }: Pool, { ageMs }: RecordSummary): void {
    const { maxSnapshotAge } = config;
    if (maxSnapshotAge === undefined || ageMs <= maxSnapshotAge) return;
    this.#counters.takeovers.tooOld += 1;
    throw new StickshiftError(
      'SNAPSHOT_TOO_OLD',
      `the last commit is ${Math.round(ageMs / 1000)} s old, and the pool's maxSnapshotAge is ${maxSnapshotAge / 1000} s`,
    );
  }

  /**
   * Counts a hand-off by what it may have lost.
   *
   * @param seq - commit that the new owner has got
   * @returns whether this gateway has acknowledged a change that may be missing from it
   */
  isPossiblyLost(ref: string, seq: number, isTakeover: boolean): boolean {
    const isLost = this.#acknowledged.areAheadOf(ref, seq);
    // Reported once; from here on, what the new owner has is what there is.
    if (isLost) this.#acknowledged.forget(ref);
    this.#acknowledged.committed(ref, seq);
    // A planned move that finds less than was released has taken over what an older commit left, too.
    if (isLost) this.#counters.takeovers.possiblyLost += 1;
    else if (isTakeover) this.#counters.takeovers.clean += 1;
    return isLost;
  }
}
