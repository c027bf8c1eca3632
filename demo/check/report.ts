import type { AddOutcome } from './cart-ledger.ts';
import type { Shopper, Tally } from './shopper.ts';

export interface Spread {
  readonly p50: number;
  readonly max: number;
  /** How many were measured. */
  readonly sessions: number;
}

/** The check's result; the last line it prints. All times are milliseconds, as clients saw them. */
export interface CheckReport {
  /** Carts that were filled before anything was killed, and verified at the end. */
  readonly sessions: number;
  /** Of these: every acknowledged item is there exactly once and in order, and so is the login. */
  readonly kept: number;
  /** Of these: anything else, including carts that could not be read. */
  readonly lost: number;
  /** Answers of 500 and above, also those that a retry made good. */
  readonly errors5xx: number;
  /** Requests without an answer. */
  readonly connectionErrors: number;
  readonly requests: number;
  readonly items: Readonly<Record<AddOutcome, number>>;
  /** For each session of the killed server: from its first request that failed or had to move to its first good answer. */
  readonly takeoverMs: Spread;
  /** For each session of the drained server: the same, from the order to drain on. */
  readonly drainMs: Spread;
  /** From the order to drain until the gateway said that it is complete. */
  readonly drainTotalMs: number;
  readonly killed: string;
  readonly drained: string;
  /** New clients after the killed server had come back; they are not among `sessions`. */
  readonly newcomers: {
    readonly sessions: number;
    readonly kept: number;
    readonly onReturnedServer: number;
  };
  /** What went wrong, in words. */
  readonly problems: readonly string[];
}

/** Nothing lost, everything measured, and the killed server works again. */
export function passed(report: CheckReport): boolean {
  return report.lost === 0 && report.problems.length === 0;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: tenths(at(0.5)), max: tenths(at(1)), sessions: sorted.length };
}

export function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Reads every client's cart, and says what is wrong with which. */
export async function auditAll(shoppers: readonly Shopper[]): Promise<{ kept: number; problems: string[] }> {
  const findings = await Promise.all(shoppers.map((shopper) => shopper.audit()));
  const problems = findings.flatMap((found, index) => {
    if (found.length === 0) return [];
    const shown = found.slice(0, 3).join(', ');
    return [`${shoppers[index]?.name}: ${shown}${found.length > 3 ? `, and ${found.length - 3} more` : ''}`];
  });
  return { kept: findings.filter((found) => found.length === 0).length, problems };
}

export function countItems(shoppers: readonly Shopper[]): Record<AddOutcome, number> {
  const sum = (outcome: AddOutcome) =>
    shoppers.reduce((total, { ledger }) => total + ledger.count(outcome), 0);
  return {
    acknowledged: sum('acknowledged'),
    refused: sum('refused'),
    indeterminate: sum('indeterminate'),
  };
}

export function newTally(): Tally {
  return { requests: 0, errors5xx: 0, connectionErrors: 0 };
}

export function formatTable(report: CheckReport): string {
  const { items, newcomers } = report;
  const times = ({ p50, max, sessions }: Spread) => `p50 ${p50} ms, max ${max} ms (${sessions} sessions)`;
  const rows: [string, string][] = [
    ['carts', `${report.sessions}: ${report.kept} kept, ${report.lost} lost`],
    [
      'items',
      `${items.acknowledged} acknowledged, ${items.indeterminate} indeterminate, ${items.refused} refused`,
    ],
    [
      'requests',
      `${report.requests}: ${report.errors5xx} answered 5xx, ${report.connectionErrors} without an answer`,
    ],
    [`takeover (${report.killed} killed)`, times(report.takeoverMs)],
    [`drain (${report.drained})`, `${times(report.drainMs)}; complete after ${report.drainTotalMs} ms`],
    [
      `return (${report.killed})`,
      `${newcomers.onReturnedServer} of ${newcomers.sessions} new clients, ${newcomers.kept} kept`,
    ],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
  return [...lines, ...report.problems.map((problem) => `  ✗ ${problem}`)].join('\n');
}
