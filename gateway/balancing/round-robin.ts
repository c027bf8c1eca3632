import type { Backend } from '../backends/backend.ts';
import type { Strategy } from './balancer.ts';

/**
 * Smooth weighted round robin, as in nginx: with weights 5, 1, 1 the turns are a a b a c a a, not a a a a a b c. Everyone gains
 * its weight at each turn; who has most goes, and pays the total.
 */
export function roundRobin(): Strategy {
  const credits = new WeakMap<Backend, number>();
  return (candidates) => {
    let total = 0;
    let next = candidates[0] as Backend;
    let most = Number.NEGATIVE_INFINITY;
    for (const backend of candidates) {
      const credit = (credits.get(backend) ?? 0) + backend.weight;
      credits.set(backend, credit);
      total += backend.weight;
      if (credit > most) {
        most = credit;
        next = backend;
      }
    }
    credits.set(next, most - total);
    return next;
  };
}
