import type { BenchmarkOptions } from '../lanes.ts';

const MIB = 1024 * 1024;

/** How much of everything is measured. */
export interface ProxySizes {
  readonly rounds: number;
  /** Rounds more than count, before the others: compilers, heaps and connections warm up. */
  readonly warmUps: number;
  /** Length of one measurement. */
  readonly seconds: number;
  readonly connections: number;
  /** Connections that idle. */
  readonly idle: number;
  /** How long memory may settle before it is read, milliseconds. */
  readonly settleMs: number;
  /** Bodies, bytes. */
  readonly small: number;
  readonly large: number;
  readonly bodyConnections: { readonly small: number; readonly large: number };
}

/** @param fileLimit - how many files a process may open; an idle connection takes one of the proxy's and one of the load process */
export function sizesOf(options: BenchmarkOptions, fileLimit: number): ProxySizes {
  const { rounds, seconds, connections } = options;
  return options.smoke
    ? {
        rounds,
        warmUps: 0,
        seconds: 0.03,
        connections,
        idle: 40,
        settleMs: 10,
        small: MIB / 16,
        large: MIB,
        bodyConnections: { small: 1, large: 1 },
      }
    : {
        rounds,
        warmUps: 1,
        seconds,
        connections,
        idle: Math.max(100, Math.min(10_000, fileLimit - 2_000)),
        settleMs: 2_000,
        small: MIB,
        large: 100 * MIB,
        // Enough that one is always under way; more would compete for the cores of load generator and app servers.
        bodyConnections: { small: 4, large: 2 },
      };
}
