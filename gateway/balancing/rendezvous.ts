import { hash } from 'node:crypto';
import type { Backend } from '../backends/backend.ts';
import type { Strategy } from './balancer.ts';
import { weightedRandom } from './weighted-random.ts';

/** 48 bits: the largest that Node reads into a number. */
const HASH_BYTES = 6;
const HASH_RANGE = 2 ** (8 * HASH_BYTES);

/**
 * Weighted rendezvous hashing: every gateway picks the same backend for a session, and when a backend goes only its own
 * sessions get another one. Without a session it is chance.
 */
export function rendezvous(random: () => number): Strategy {
  return (candidates, sessionKey) => {
    if (sessionKey === undefined) return weightedRandom(candidates, random);
    let best = candidates[0] as Backend;
    let highest = Number.NEGATIVE_INFINITY;
    for (const backend of candidates) {
      const score = rendezvousScore(sessionKey, backend);
      if (score > highest) {
        highest = score;
        best = backend;
      }
    }
    return best;
  };
}

/** Gateways of different versions have to agree on it: it must never change. */
function rendezvousScore(sessionKey: string, backend: Backend): number {
  const digest = hash('sha256', `${sessionKey}\0${backend.id}`, 'buffer');
  // Between 0 and 1, both excluded: the logarithm is finite and negative.
  const point = (digest.readUIntBE(0, HASH_BYTES) + 0.5) / HASH_RANGE;
  return -backend.weight / Math.log(point);
}
