import { compare, type Measurement, table } from './measure/measurement.ts';
import { median } from './measure/statistics.ts';

import { startGatewayProcess } from './processes/gateway.ts';
import { generateLoad } from './processes/load.ts';
import { startBackend, startBareProxy, type Target } from './processes/target.ts';

export interface BenchmarkOptions {
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  readonly connections: number;
  readonly json: boolean;
  /** As little of everything as can be. */
  readonly smoke: boolean;
  /** Of a benchmark that has parts, which of them; empty: all. */
  readonly parts: readonly string[];
  /** `proxies`: a file with the figures of another run to compare with, and one to store this run's in. */
  readonly compare?: string | undefined;
  readonly save?: string | undefined;
}

/**
 * What the gateway's lanes cost beside the library that one of them is built on. All forward the same requests, of clients that are bound
 * by their cookies, to the same backend with 100-byte answers; neither store nor agent is asked. Each is its
 * own process, and so are the backend and the load generator. They are measured in turn, so that whatever else the machine does
 * meets all of them.
 */
export async function benchmarkLanes(options: BenchmarkOptions): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const backend = cleanup.use(await startBackend());
  const targets: Target[] = [
    cleanup.use(await startBareProxy(backend.port)),
    cleanup.use(await startGatewayProcess(backend.port, {}, { lane: 'full' })),
    cleanup.use(await startGatewayProcess(backend.port, {}, { lane: 'fast' })),
  ];
  const samples = new Map<string, Measurement[]>(targets.map((target) => [target.name, []]));

  // One round more than counts: the first warms up the compilers and the connections.
  for (let round = 0; round <= options.rounds; round++) {
    for (const target of targets) {
      const before = target.cpuMicros();
      const load = await generateLoad({
        port: target.port,
        connections: options.connections,
        seconds: round === 0 ? Math.min(options.seconds, 2) : options.seconds,
      });
      if (round === 0) continue;
      samples.get(target.name)?.push({
        requestsPerSecond: load.requests / load.seconds,
        cpuMicrosPerRequest: (target.cpuMicros() - before) / load.requests,
        p50Millis: load.p50Millis,
        p99Millis: load.p99Millis,
        errors: load.errors,
      });
    }
  }
  const results = Object.fromEntries([...samples].map(([name, rounds]) => [name, medians(rounds)]));
  process.stdout.write(options.json ? `${JSON.stringify({ options, results })}\n` : report(options, results));
}

function medians(rounds: readonly Measurement[]): Measurement {
  const of = (pick: (measurement: Measurement) => number) => median(rounds.map(pick));
  return {
    requestsPerSecond: of((round) => round.requestsPerSecond),
    cpuMicrosPerRequest: of((round) => round.cpuMicrosPerRequest),
    p50Millis: of((round) => round.p50Millis),
    p99Millis: of((round) => round.p99Millis),
    // Not a median: a single failed request is worth knowing.
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
  };
}

function report(options: BenchmarkOptions, results: Readonly<Record<string, Measurement>>): string {
  const { rounds, seconds, connections } = options;
  return [
    `lanes: medians of ${rounds} × ${seconds} s, ${connections} keep-alive connections, 100-byte answers`,
    table(results),
    compare(results, 'http-proxy-3', 'full lane'),
    compare(results, 'http-proxy-3', 'fast lane'),
    '',
  ].join('\n');
}
