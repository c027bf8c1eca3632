import { median } from '../measure/statistics.ts';
import { type BenchRedis, startRedis } from '../processes/redis.ts';
import { type Kind, type Latency, SessionLoad, type SessionLoadResult } from '../processes/session-load.ts';
import { measureRoundTrips, type RoundTrips } from './round-trips.ts';
import type { Sizes } from './sizes.ts';
import { countCommands, type StoreCommands, total } from './store-commands.ts';
import { VARIANT_NAMES, VARIANTS, type Variant, type VariantName } from './variants.ts';

/** One kind of request as fast as it goes. */
export interface Throughput {
  readonly requestsPerSecond: number;
  /** CPU time per request by process, microseconds, all threads. */
  readonly cpuMicros: Readonly<Record<string, number>>;
}

/** One round of one variant. */
export interface Round {
  readonly throughput: Readonly<Record<Kind, Throughput>>;
  /** At a pace that leaves every process time, reads and writes in turn. */
  readonly latency: Readonly<Record<Kind, Latency>>;
  /** Requests that were not answered with 200. */
  readonly errors: number;
}

export interface HeldWritesResult extends Round {
  /** Store commands about sessions, per request. */
  readonly commands: Readonly<Record<Kind, number>>;
  readonly commandNames: Readonly<Record<Kind, StoreCommands>>;
  /** What the medians are of. */
  readonly rounds: readonly Round[];
}

export interface HeldWrites {
  /** How much longer a round trip to Redis was made. */
  readonly delayMs: number;
  readonly roundTrips: RoundTrips;
  readonly variants: Readonly<Record<VariantName, HeldWritesResult>>;
}

interface Measured {
  readonly variant: Variant;
  readonly load: SessionLoad;
  readonly rounds: Round[];
}

/**
 * What it costs to have sessions kept: the same app, the same requests, and nothing different but where its sessions are and
 * what stands before it. The variants take turns, and every round begins with another one.
 */
export async function measureHeldWrites(delayMs: number, sizes: Sizes): Promise<HeldWrites> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.use(await startRedis(delayMs));
  const roundTrips = await measureRoundTrips(redis.url);
  const measured = new Map<VariantName, Measured>();
  for (const name of VARIANT_NAMES) {
    const variant = cleanup.use(await VARIANTS[name](redis));
    const load = cleanup.use(await SessionLoad.start());
    assertAnswered(name, await load.run({ do: 'begin', port: variant.port, connections: sizes.connections }));
    measured.set(name, { variant, load, rounds: [] });
  }

  // One round more than counts: the first warms up compilers, and heaps.
  for (let round = 0; round <= sizes.rounds; round++) {
    const first = round % VARIANT_NAMES.length;
    for (const name of [...VARIANT_NAMES.slice(first), ...VARIANT_NAMES.slice(0, first)]) {
      const { variant, load, rounds } = measured.get(name) as Measured;
      const seconds = round === 0 ? Math.min(sizes.seconds, 2) : sizes.seconds;
      const result = await measureRound(variant, load, redis, { ...sizes, seconds });
      if (round > 0) rounds.push(result);
    }
  }
  const variants: Partial<Record<VariantName, HeldWritesResult>> = {};
  for (const [name, { variant, load, rounds }] of measured) {
    const read = await count('read', variant, load, redis, sizes.counted);
    const write = await count('write', variant, load, redis, sizes.counted);
    variants[name] = {
      ...medians(rounds),
      commands: {
        read: total(read.sessions) / sizes.counted,
        write: total(write.sessions) / sizes.counted,
      },
      commandNames: { read, write },
      rounds,
    };
  }
  return { delayMs, roundTrips, variants: variants as Record<VariantName, HeldWritesResult> };
}

async function measureRound(
  variant: Variant,
  load: SessionLoad,
  redis: BenchRedis,
  { seconds, pace }: Sizes,
): Promise<Round> {
  const write = await saturate('write', variant, load, redis, seconds);
  const read = await saturate('read', variant, load, redis, seconds);
  const paced = await load.run({ do: 'pace', perSecond: pace, seconds });
  return {
    throughput: { read: read.throughput, write: write.throughput },
    latency: paced.latency,
    errors: write.errors + read.errors + paced.errors,
  };
}

async function saturate(
  kind: Kind,
  variant: Variant,
  load: SessionLoad,
  redis: BenchRedis,
  seconds: number,
): Promise<{ readonly throughput: Throughput; readonly errors: number }> {
  const before = await cpuMicros(variant, redis);
  const result = await load.run({ do: 'saturate', kind, seconds });
  // What is answered early, as in `async`, is work all the same.
  await variant.settled();
  const after = await cpuMicros(variant, redis);
  const cpu = Object.entries(after).map(([name, micros]) => [
    name,
    (micros - (before[name] ?? 0)) / result.requests,
  ]);
  return {
    throughput: { requestsPerSecond: result.requests / result.seconds, cpuMicros: Object.fromEntries(cpu) },
    errors: result.errors,
  };
}

async function cpuMicros(variant: Variant, redis: BenchRedis): Promise<Record<string, number>> {
  const own = variant.processes.map((process) => [process.name, process.cpuMicros()] as const);
  return { ...Object.fromEntries(own), redis: await redis.cpuMicros() };
}

async function count(
  kind: Kind,
  variant: Variant,
  load: SessionLoad,
  redis: BenchRedis,
  requests: number,
): Promise<StoreCommands> {
  await variant.settled();
  return countCommands(redis.client, async () => {
    assertAnswered(`counting ${kind}s`, await load.run({ do: 'count', kind, requests }));
    await variant.settled();
  });
}

function medians(rounds: readonly Round[]): Round {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  const throughput = (kind: Kind): Throughput => ({
    requestsPerSecond: of((round) => round.throughput[kind].requestsPerSecond),
    cpuMicros: Object.fromEntries(
      Object.keys(rounds[0]?.throughput[kind].cpuMicros ?? {}).map((name) => [
        name,
        of((round) => round.throughput[kind].cpuMicros[name] ?? Number.NaN),
      ]),
    ),
  });
  const latency = (kind: Kind): Latency => ({
    p50Millis: of((round) => round.latency[kind].p50Millis),
    p99Millis: of((round) => round.latency[kind].p99Millis),
  });
  return {
    throughput: { read: throughput('read'), write: throughput('write') },
    latency: { read: latency('read'), write: latency('write') },
    // Not a median: a single failed request is worth knowing.
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
  };
}

function assertAnswered(what: string, { errors }: SessionLoadResult): void {
  if (errors > 0) throw new Error(`${what}: ${errors} requests were not answered with 200`);
}
