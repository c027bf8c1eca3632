import type { Samples } from './figures.ts';
import { inTurn, type Lineup, type Surroundings } from './lineup.ts';
import type { ProxySizes } from './sizes.ts';

const MIB = 1024 * 1024;
/** Bodies as fast as they go, one size and one direction at a time. */
export async function measureBodies(
  { load }: Surroundings,
  lineup: Lineup,
  sizes: ProxySizes,
  samples: Samples,
): Promise<void> {
  for (let round = 0; round < sizes.rounds; round++) {
    for (const size of ['small', 'large'] as const) {
      for (const direction of ['download', 'upload'] as const) {
        for (const [name, proxy] of inTurn(lineup, round)) {
          const before = proxy.cpuMicros();
          const { requests, errors, seconds } = await load.run({
            do: 'bodies',
            port: proxy.port,
            connections: sizes.bodyConnections[size],
            direction,
            bytes: sizes[size],
            seconds: sizes.seconds,
          });
          const mib = (requests * sizes[size]) / MIB;
          const figure = `bodies.${size}${direction === 'download' ? 'Download' : 'Upload'}`;
          samples.add(`${figure}.mibPerSecond`, name, mib / seconds);
          samples.add(`${figure}.cpuMicrosPerMib`, name, (proxy.cpuMicros() - before) / mib);
          samples.add(`${figure}.errors`, name, errors);
        }
      }
    }
  }
}
