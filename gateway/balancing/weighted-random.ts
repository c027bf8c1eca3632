import type { Backend } from '../backends/backend.ts';

/**
 * One of the candidates, by chance in proportion to weight.
 *
 * @param except - left out; there must be another candidate
 */
export function weightedRandom(
  candidates: readonly Backend[],
  random: () => number,
  except?: Backend,
): Backend {
  let total = 0;
  for (const backend of candidates) if (backend !== except) total += backend.weight;
  let point = random() * total;
  let last: Backend | undefined;
  for (const backend of candidates) {
    if (backend === except) continue;
    last = backend;
    point -= backend.weight;
    if (point < 0) break;
  }
  // When rounding keeps the point from falling below 0 it is the last candidate's.
  return last as Backend;
}
