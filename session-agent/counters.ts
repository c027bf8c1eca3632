/** Totals since the agent started, for status and metrics. Plain numbers: counting must cost nothing. */
export class Counters {
  readonly commits = { committed: 0, fenced: 0, stale: 0, ended: 0, failed: 0 };
  readonly adopts = { found: 0, absent: 0, ended: 0, moved: 0, unknown: 0 };
  /** Entries of the journal that were brought to the store after a restart. */
  replayed = 0;
  /** Sessions whose journaled changes came too late, because another backend had taken them over. */
  lostAtTakeover = 0;
  /** Sessions and tombstones that a store which lost data was given again. */
  reseeded = 0;
}
