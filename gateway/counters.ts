import type { HandoffReason } from '../protocol/agent-api.ts';

/** What has been counted, without what counts. */
export type CounterValues = Readonly<Omit<GatewayCounters, 'countResponse' | 'countError'>>;

/** Plain integers, because counting happens on the request path; `metrics.ts` reads them when somebody asks. */
export class GatewayCounters {
  /** How requests found their backend. */
  readonly routed = { bound: 0, balanced: 0, placed: 0 };
  /** What the record said when it was looked up. */
  readonly lookups = { found: 0, absent: 0, ended: 0, unknown: 0 };
  readonly moves: Record<HandoffReason | 'failed' | 'contended', number> = {
    takeover: 0,
    drain: 0,
    maintenance: 0,
    rebalance: 0,
    unowned: 0,
    failed: 0,
    contended: 0,
  };
  /**
   * Moves that the old owner had no part in: of the newest change that this gateway acknowledged, or possibly not; and those
   * refused because of the pool's `maxSnapshotAge`.
   */
  readonly takeovers = { clean: 0, possiblyLost: 0, tooOld: 0 };
  /**
   * Held answers: released after their commit, released with the commit to come (`async`), released from the agent's journal
   * while the store was away, withheld, or streamed because they were too large to hold.
   */
  readonly held = { released: 0, accepted: 0, atRisk: 0, withheld: 0, overflowed: 0 };
  /** Answers of sessions that the agent cannot save: served, and living on one backend only. */
  unprotected = 0;
  /** Answers whose session's record was looked up once more, because the lease could not vouch for it. */
  readonly answersChecked = { confirmed: 0, withheld: 0 };
  /** Sum of the time that answers were held, milliseconds. */
  holdTimeMs = 0;
  readonly retries = { connect: 0, reset: 0 };
  /** Why an affinity cookie was no cookie. */
  readonly affinityRefused: Record<string, number> = {};
  /** Answers by status class, and those that the gateway itself made, by error code. */
  readonly responses: Record<string, number> = {};
  readonly errors: Record<string, number> = {};
  clientAborts = 0;

  countResponse(status: number): void {
    const statusClass = `${Math.floor(status / 100)}xx`;
    this.responses[statusClass] = (this.responses[statusClass] ?? 0) + 1;
  }

  countError(code: string): void {
    this.errors[code] = (this.errors[code] ?? 0) + 1;
  }
}
