import type { Backend } from '../backends/backend.ts';

/** Where this gateway knows a session to be, newer than what an affinity cookie may say. */
export interface KnownBinding {
  readonly backend: Backend;
  readonly epoch: number;
  /** When it was learned, milliseconds since 1970. */
  readonly at: number;
}

/**
 * What the gateway learned from moves, lookups and commits. It serves clients whose cookie is older than the last move and
 * clients that keep no cookies. Losing an entry costs a lookup in the store, never a session, so the memory is bounded by
 * dropping the older half: two generations, the young one becomes the old one when it is full.
 */
export class KnownBindings {
  readonly #generationSize: number;
  #young = new Map<string, KnownBinding>();
  #old = new Map<string, KnownBinding>();

  /** @param limit - most entries kept, default 100 000 (about 20 MiB) */
  constructor(limit = 100_000) {
    this.#generationSize = Math.max(1, Math.floor(limit / 2));
  }

  get(ref: string): KnownBinding | undefined {
    const young = this.#young.get(ref);
    if (young) return young;
    const old = this.#old.get(ref);
    if (old) this.set(ref, old);
    return old;
  }

  set(ref: string, binding: KnownBinding): void {
    if (this.#young.size >= this.#generationSize && !this.#young.has(ref)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(ref, binding);
  }

  delete(ref: string): void {
    this.#young.delete(ref);
    this.#old.delete(ref);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
