import type { BackendName } from '../installation/layout.ts';
import { poolOf } from '../installation/layout.ts';
import type { Effects, Policies } from './fault.ts';

/**
 * Whether faults may happen in the same round. Two things break what is promised by design (docs/guarantees.md), and a run
 * that did them would prove nothing:
 *
 * - the store forgets, and with it is gone whoever could tell it again: what forgets happens alone;
 * - with `onStoreDown: serve`, answers go out on the strength of an agent's journal while the store is away. If the
 *   gateways take that backend for lost meanwhile, another takes its sessions over from the store, without the journal.
 */
export function mayOverlap(all: readonly Effects[], policies: Policies): boolean {
  if (all.length > 1 && all.some(({ storeForgets }) => storeForgets)) return false;
  const touched = all.flatMap(({ touches }) => touches);
  if (new Set(touched).size < touched.length) return false;
  const servesAlone = (backend: BackendName) => policies[poolOf(backend)].onStoreDown === 'serve';
  const onJournal = new Set(all.flatMap(({ storeAwayFor }) => storeAwayFor).filter(servesAlone));
  return !all.some(({ maySeemLost }) => maySeemLost.some((backend) => onJournal.has(backend)));
}
