/** Totals since the agent started, for status and metrics. Plain numbers: counting must cost nothing. */
export class Counters {
  readonly commits = { committed: 0, fenced: 0, stale: 0, ended: 0, failed: 0 };
  readonly adopts = { found: 0, absent: 0, ended: 0, moved: 0, unknown: 0 };
}
