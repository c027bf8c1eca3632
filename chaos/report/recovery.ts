import type { FaultRecord, Operation } from '../history/history.ts';

/** From the beginning of a fault to the first good answer of each client that it concerned, milliseconds. */
export interface Recovery {
  readonly clients: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * A fault concerns a session whose last good answer before it came from one of the fault's backends. The first good answer
 * is that of an operation invoked after the fault began; sessions that ended before they got one are not counted.
 */
export function recovery(faults: readonly FaultRecord[], operations: readonly Operation[]): Recovery {
  const times: number[] = [];
  const good = operations
    .filter(({ outcome, kind }) => outcome === 'ok' && kind !== 'attack' && kind !== 'final')
    .sort((a, b) => a.invokedAt - b.invokedAt);
  const bySession = Map.groupBy(good, ({ session }) => session);
  for (const fault of faults) {
    for (const own of bySession.values()) {
      const next = own.findIndex(({ invokedAt }) => invokedAt >= fault.from);
      const before = own[next - 1];
      const after = own[next];
      if (!before || !after || !fault.concerns.includes(before.answer?.server ?? '')) continue;
      times.push(after.completedAt - fault.from);
    }
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  return {
    clients: times.length,
    p50: Math.round(at(0.5)),
    p99: Math.round(at(0.99)),
    max: Math.round(at(1)),
  };
}
