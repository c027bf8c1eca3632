import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { quantile } from '../measure/statistics.ts';
import type { ProxyLoadResult } from './proxy-load.ts';

/** More ticks than this a second would only take time from what is measured. */
const MOST_TICKS_PER_SECOND = 5_000;
/** After the last request was due, how long its answer, and all before it, may take. */
const PATIENCE_MS = 10_000;

interface Client {
  /** Resolves with the status of the answer. */
  send(): Promise<{ readonly status: number }>;
}

/**
 * Sends at a fixed rate, whatever the answers do. A request that finds every connection busy waits, and its latency counts from when it
 * was due: a proxy that stalls for a moment makes all that were due in that moment late, and not one.
 */
export async function openLoop(
  clients: readonly Client[],
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<ProxyLoadResult> {
  const total = Math.max(1, Math.floor(perSecond * seconds));
  const latencies: number[] = [];
  const lateness: number[] = [];
  const waiting: number[] = [];
  const free = [...clients];
  const done = Promise.withResolvers<void>();
  let errors = 0;
  let begun = 0;
  const metronome = new Worker(join(import.meta.dirname, 'metronome.main.ts'), {
    workerData: { intervalMs: 1000 / Math.min(perSecond, MOST_TICKS_PER_SECOND) },
  });
  metronome.once('error', done.reject);
  await new Promise((resolve) => metronome.once('message', resolve));
  const started = performance.now();

  const send = async (client: Client, due: number): Promise<void> => {
    const { status } = await client.send();
    if (status === 200) latencies.push(performance.now() - due);
    else errors += 1;
    const next = waiting.shift();
    if (next !== undefined) void send(client, next);
    else free.push(client);
    if (latencies.length + errors === total) done.resolve();
  };
  metronome.on('message', () => {
    const now = performance.now();
    for (; begun < total; begun++) {
      const due = started + (begun * 1000) / perSecond;
      if (due > now) return;
      const client = free.shift();
      if (!client) {
        waiting.push(due);
        continue;
      }
      lateness.push(performance.now() - due);
      void send(client, due);
    }
  });
  const overdue = setTimeout(done.resolve, seconds * 1000 + PATIENCE_MS);
  await done.promise;
  clearTimeout(overdue);
  await metronome.terminate();
  const sorted = latencies.toSorted((a, b) => a - b);
  return {
    requests: latencies.length,
    // What was not answered by then is lost as well.
    errors: total - latencies.length,
    seconds: (performance.now() - started) / 1000,
    latency: {
      p50Millis: quantile(sorted, 0.5),
      p99Millis: quantile(sorted, 0.99),
      p999Millis: quantile(sorted, 0.999),
      lateP99Millis: quantile(
        lateness.toSorted((a, b) => a - b),
        0.99,
      ),
    },
  };
}
