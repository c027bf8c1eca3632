import type { ProxyLoad } from '../processes/proxy-load.ts';
import type { Samples } from './figures.ts';
import { inTurn, type Lineup, type Surroundings } from './lineup.ts';
import type { ProxySizes } from './sizes.ts';

/**
 * How long an answer takes at a rate that every proxy keeps up with: the same for all, half of what the slowest reaches.
 *
 * @returns that rate, requests per second
 */
export async function measureLatency(
  { load }: Surroundings,
  lineup: Lineup,
  sizes: ProxySizes,
  samples: Samples,
): Promise<number> {
  const { connections } = sizes;
  const slowest = slowestKnown(samples) ?? (await findSlowest(load, lineup, sizes));
  const perSecond = Math.max(1, Math.floor(slowest / 2));
  for (let round = -sizes.warmUps; round < sizes.rounds; round++) {
    for (const [name, { port }] of inTurn(lineup, round + sizes.warmUps)) {
      const seconds = round < 0 ? Math.min(sizes.seconds, 2) : sizes.seconds;
      const { latency, errors } = await load.run({ do: 'pace', port, connections, perSecond, seconds });
      if (round < 0 || !latency) continue;
      for (const [figure, value] of Object.entries(latency)) samples.add(`latency.${figure}`, name, value);
      samples.add('latency.errors', name, errors);
    }
  }
  return perSecond;
}

/** Of the part `requests`, if it has been measured in this run. */
function slowestKnown(samples: Samples): number | undefined {
  const perSecond = Object.values(samples.medians()['requests.perSecond'] ?? {});
  return perSecond.length > 0 ? Math.min(...perSecond) : undefined;
}

async function findSlowest(load: ProxyLoad, lineup: Lineup, sizes: ProxySizes): Promise<number> {
  const seconds = Math.min(1, sizes.seconds);
  let slowest = Number.POSITIVE_INFINITY;
  for (let round = -sizes.warmUps; round <= 0; round++) {
    for (const { port } of lineup.proxies.values()) {
      const probe = await load.run({ do: 'saturate', port, connections: sizes.connections, seconds });
      if (round === 0) slowest = Math.min(slowest, probe.requests / probe.seconds);
    }
  }
  return slowest;
}
