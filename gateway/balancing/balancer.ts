import type { PoolConfig } from '../../config/schema.ts';
import type { Backend } from '../backends/backend.ts';
import { leastConnections } from './least-connections.ts';
import { rendezvous } from './rendezvous.ts';
import { roundRobin } from './round-robin.ts';

export interface BalanceContext {
  /** Key of the session that is to be placed; rendezvous needs it. */
  readonly sessionKey?: string;
  /** Backends that must not be picked. */
  readonly exclude?: ReadonlySet<Backend>;
}

/** Chooses a backend for a client that has none, or a new one for a session that moves. */
export interface Balancer {
  /** `undefined` when no candidate is left. A backend of weight 0 is never picked. */
  pick(candidates: readonly Backend[], context: BalanceContext): Backend | undefined;
}

/** Chooses among candidates that are all eligible; there is at least one. */
export type Strategy = (candidates: readonly Backend[], sessionKey: string | undefined) => Backend;

const STRATEGIES: Record<PoolConfig['balance'], (random: () => number) => Strategy> = {
  'least-connections': leastConnections,
  'round-robin': () => roundRobin(),
  rendezvous,
};

/** @param random - at least 0, less than 1; default `Math.random` */
export function createBalancer(kind: PoolConfig['balance'], random: () => number = Math.random): Balancer {
  const choose = STRATEGIES[kind](random);
  return {
    pick(candidates, { sessionKey, exclude }) {
      const eligible = candidates.filter((backend) => backend.weight > 0 && !exclude?.has(backend));
      return eligible.length > 1 ? choose(eligible, sessionKey) : eligible[0];
    },
  };
}
