import type { Backend } from '../backends/backend.ts';
import type { Stamp } from '../leases/stamp.ts';
import { detached, RecentMap } from '../memory/recent-map.ts';

/** Where this gateway knows a session to be, newer than what an affinity cookie may say. */
export interface KnownBinding {
  readonly backend: Backend;
  readonly epoch: number;
  /** As of when it was right; `undefined`: not confirmed. */
  readonly stamp: Stamp | undefined;
  readonly isDoubtful?: undefined;
}

/** The session has moved on, or has ended: whatever the client's cookie says, its record has to be looked up. */
export interface Doubt {
  readonly isDoubtful: true;
  /** Where it was when it was heard of last; a binding of a smaller epoch is wrong in any case. */
  readonly backend: Backend | undefined;
  readonly epoch: number;
  readonly stamp: undefined;
}

/**
 * What the gateway learned from moves, lookups and commits. It serves clients whose cookie is older than the last move and
 * clients that keep no cookies. Losing an entry costs a lookup in the store, never a session.
 */
export class KnownBindings {
  readonly #bindings: RecentMap<string, KnownBinding | Doubt>;

  /** @param limit - most entries kept, default 100 000 (about 20 MiB) */
  constructor(limit = 100_000) {
    this.#bindings = new RecentMap(limit);
  }

  get(ref: string): KnownBinding | Doubt | undefined {
    return this.#bindings.get(ref);
  }

  /** By its record, which is right even if the epoch is smaller than one before: a store may have forgotten an adopt. */
  set(ref: string, binding: KnownBinding): void {
    this.#bindings.set(detached(ref), binding);
  }

  /** By an answer of its owner, which may have come late: what is known of a newer epoch stays. */
  confirm(ref: string, binding: KnownBinding): void {
    const known = this.#bindings.get(ref);
    if (!known || known.epoch <= binding.epoch) this.set(ref, binding);
  }

  /** From now on its record has to be looked up. `seen`: where that, or whoever knows, has it. */
  doubt(ref: string, seen?: Pick<Doubt, 'backend' | 'epoch'>): void {
    const known = this.#bindings.get(ref);
    const newest = seen && seen.epoch >= (known?.epoch ?? 0) ? seen : known;
    const { backend, epoch = 0 } = newest ?? {};
    this.#bindings.set(detached(ref), { isDoubtful: true, backend, epoch, stamp: undefined });
  }

  get size(): number {
    return this.#bindings.size;
  }
}
