import { setTimeout as pause } from 'node:timers/promises';
import { residentBytes } from '../measure/process-memory.ts';
import type { Samples } from './figures.ts';
import { inTurn, type Lineup, type Surroundings, startLineup } from './lineup.ts';
import type { ProxySizes } from './sizes.ts';

const MIB = 1024 * 1024;

/**
 * What a connection takes that is open and has nothing to do. Each round has processes of its own: what one has once allocated, it
 * seldom gives back. The base is that of a process that has already served requests, and so has its code and its buffers.
 *
 * @returns the last lineup's proxies, and who was left out
 */
export async function measureIdle(
  surroundings: Surroundings,
  sizes: ProxySizes,
  samples: Samples,
): Promise<Pick<Lineup, 'proxies' | 'leftOut'>> {
  let last: Pick<Lineup, 'proxies' | 'leftOut'> = { proxies: new Map(), leftOut: new Map() };
  for (let round = 0; round < sizes.rounds; round++) {
    await using lineup = await startLineup(surroundings);
    last = { proxies: lineup.proxies, leftOut: lineup.leftOut };
    for (const [name, proxy] of inTurn(lineup, round)) {
      const { load } = surroundings;
      const { port } = proxy;
      await load.run({
        do: 'saturate',
        port,
        connections: sizes.connections,
        seconds: Math.min(1, sizes.seconds),
      });
      await pause(sizes.settleMs);
      const base = residentBytes(proxy.pid);
      const opened = await load.run({ do: 'hold', port, connections: sizes.idle });
      await pause(sizes.settleMs);
      const held = residentBytes(proxy.pid);
      const closed = await load.run({ do: 'release' });
      samples.add('idle.kibPerConnection', name, (held - base) / 1024 / sizes.idle);
      samples.add('idle.baseMib', name, base / MIB);
      samples.add('idle.errors', name, opened.errors + closed.errors);
    }
  }
  return last;
}
