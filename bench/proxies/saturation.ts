import type { ProxyLoadResult } from '../processes/proxy-load.ts';
import { runWrk } from '../processes/wrk.ts';
import type { Samples } from './figures.ts';
import { inTurn, type Lineup, type Surroundings } from './lineup.ts';
import type { ProxySizes } from './sizes.ts';

/** Clients that wrk plays, each with its cookies. */
const WRK_CLIENTS = 64;

interface Saturation {
  readonly part: 'requests' | 'connections' | 'tls' | 'logs';
  /** With wrk, otherwise with our own load process. */
  readonly wrk: boolean;
  readonly tls?: boolean;
  /** A connection for each request. */
  readonly close?: boolean;
}

/** As fast as it goes: requests or connections per second, and what each takes of CPU, of each proxy in turn. */
export async function measureSaturated(
  surroundings: Surroundings,
  lineup: Lineup,
  sizes: ProxySizes,
  samples: Samples,
  saturation: Saturation,
): Promise<void> {
  const { part } = saturation;
  const cookies = new Map<string, readonly string[]>();
  for (let round = -sizes.warmUps; round < sizes.rounds; round++) {
    for (const [name, proxy] of inTurn(lineup, round + sizes.warmUps)) {
      const seconds = round < 0 ? Math.min(sizes.seconds, 2) : sizes.seconds;
      const where = { port: proxy.port, connections: sizes.connections, tls: saturation.tls ?? false };
      if (saturation.wrk && !cookies.has(name)) {
        const bound = await surroundings.load.run({ ...where, do: 'bind', connections: WRK_CLIENTS });
        cookies.set(
          name,
          (bound.clients ?? []).map(({ cookie }) => cookie),
        );
      }
      const before = proxy.cpuMicros();
      const result = saturation.wrk
        ? await runWrk({
            ...where,
            cookies: cookies.get(name) ?? [],
            seconds,
            close: saturation.close ?? false,
            directory: surroundings.directory,
          })
        : await surroundings.load.run({ ...where, do: saturation.close ? 'connect' : 'saturate', seconds });
      if (round < 0) continue;
      const cpu = proxy.cpuMicros() - before;
      samples.add(`${part}.perSecond`, name, result.requests / result.seconds);
      samples.add(`${part}.cpuMicros`, name, cpu / result.requests);
      // Below one, it was not the proxy that was at its limit: its requests per second are a lower bound then.
      samples.add(`${part}.coresBusy`, name, cpu / 1e6 / result.seconds);
      samples.add(`${part}.errors`, name, result.errors);
    }
  }
}

/** What load generator and app servers reach without a proxy between, requests per second. */
export async function measureCeiling(
  { servers, load, directory }: Surroundings,
  sizes: ProxySizes,
  wrk: boolean,
): Promise<number> {
  const where = { port: servers[0]?.port ?? 0, connections: sizes.connections, seconds: sizes.seconds };
  const result: ProxyLoadResult = wrk
    ? await runWrk({ ...where, cookies: ['sid=nobody'], tls: false, close: false, directory })
    : await load.run({ ...where, do: 'saturate' });
  return result.requests / result.seconds;
}
