import type { RecallUnderWay } from './recall-under-way.ts';

/** What one gateway holds. */
export class Lease {
  /** Recalls that its gateway has not agreed to, oldest first. */
  readonly owes = new Set<RecallUnderWay>();
  /** When its last call was received, in the time of the lease book, milliseconds. */
  heardAt: number;
  /**
   * Number under which it began. A gateway that has not seen so much believes in an earlier lease, which a call that comes late
   * must not prolong.
   */
  readonly began: number;

  constructor(began: number, heardAt: number) {
    this.began = began;
    this.heardAt = heardAt;
  }

  /** Number of the oldest recall that it owes an answer to. */
  get oldestOwed(): number | undefined {
    const [oldest] = this.owes;
    return oldest?.recall;
  }
}
