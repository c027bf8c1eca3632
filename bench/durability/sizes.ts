import type { BenchmarkOptions } from '../lanes.ts';

/** How much of everything is measured. */
export interface Sizes {
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  readonly connections: number;
  /** Requests per second where latency is measured: few enough that nothing queues. */
  readonly pace: number;
  /** Requests of each kind whose store commands are counted. */
  readonly counted: number;
  /** Sessions that are taken over, one after the other. */
  readonly takeovers: number;
  /** Sessions that are drained. */
  readonly drained: number;
  /** Sessions whose memory is measured. */
  readonly owned: number;
  /** Longer round trips to Redis that writes and takeovers are measured with, milliseconds. */
  readonly delays: readonly number[];
}

export function sizesOf({ rounds, seconds, connections, smoke }: BenchmarkOptions): Sizes {
  const times = { rounds, seconds, connections };
  return smoke
    ? { ...times, pace: 100, counted: 10, takeovers: 3, drained: 40, owned: 40, delays: [1] }
    : { ...times, pace: 200, counted: 500, takeovers: 200, drained: 10_000, owned: 50_000, delays: [0, 1] };
}
