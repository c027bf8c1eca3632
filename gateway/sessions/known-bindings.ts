import type { Backend } from '../backends/backend.ts';
import type { Stamp } from '../leases/stamp.ts';
import { detached, RecentMap } from '../memory/recent-map.ts';

/** Where this gateway knows a session to be, newer than what an affinity cookie may say. */
export interface KnownBinding {
  readonly backend: Backend;
  readonly epoch: number;
  /** As of when it was right; `undefined`: not confirmed. */
  readonly stamp: Stamp | undefined;
}

/**
 * What the gateway learned from moves, lookups and commits. It serves clients whose cookie is older than the last move and
 * clients that keep no cookies. Losing an entry costs a lookup in the store, never a session.
 */
export class KnownBindings {
  readonly #bindings: RecentMap<string, KnownBinding | 'doubtful'>;

  /** @param limit - most entries kept, default 100 000 (about 20 MiB) */
  constructor(limit = 100_000) {
    this.#bindings = new RecentMap(limit);
  }

  get(ref: string): KnownBinding | 'doubtful' | undefined {
    return this.#bindings.get(ref);
  }

  set(ref: string, binding: KnownBinding): void {
    this.#bindings.set(detached(ref), binding);
  }

  /** The session has moved on, or has ended: whatever the client's cookie says, its record has to be looked up. */
  doubt(ref: string): void {
    this.#bindings.set(detached(ref), 'doubtful');
  }

  get size(): number {
    return this.#bindings.size;
  }
}
