import type { Strategy } from './balancer.ts';
import { weightedRandom } from './weighted-random.ts';

/**
 * Two candidates by chance, of these the one with fewer requests in flight for its weight. Always taking the least busy of all
 * would send the clients of all gateways to the same backend at once, until its load shows.
 */
export function leastConnections(random: () => number): Strategy {
  return (candidates) => {
    const first = weightedRandom(candidates, random);
    const second = weightedRandom(candidates, random, first);
    // The first was drawn by weight, so it wins a tie: then an idle pool is filled by weight as well.
    return second.inFlight * first.weight < first.inFlight * second.weight ? second : first;
  };
}
