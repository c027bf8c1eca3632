import type { Config, PoolConfig } from '../config/schema.ts';

/** The most replicas that any commit of these pools waits for; 0: none does. */
export function neededReplicas(pools: Config['pools']): number {
  return Math.max(
    0,
    ...Object.values(pools)
      .filter(waitsForReplicas)
      .map((pool) => pool.replicas),
  );
}

function waitsForReplicas({ durability, routes }: PoolConfig): boolean {
  return durability === 'replica' || routes.some((route) => route.durability === 'replica');
}
