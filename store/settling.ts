/** What a store says of its past: whether it is the data set that a process knows, and for how long it is settling. */
export interface Lineage {
  /** Changes whenever the data set may have lost writes. */
  readonly token: string;
  /** How long it is still settling, milliseconds. */
  readonly remainingMs: number;
}

/**
 * One process's view of whether its store is settling (see `SnapshotStore.settlingMs`). Counts with the process's own
 * monotonic clock: neither its wall clock nor the store's may end the settling early.
 */
export class Settling {
  readonly #listeners = new Set<() => void>();
  readonly #settleMs: number;
  #token: string | undefined;
  #until = 0;

  /** @param settleMs - `store.settle`; 0: the store never settles */
  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /** How long owners have to write again what was lost, milliseconds. */
  get settleMs(): number {
    return this.#settleMs;
  }

  get remainingMs(): number {
    return Math.max(0, Math.ceil(this.#until - performance.now()));
  }

  /** Token of the data set that this process knows; `undefined` before it has seen any. */
  get token(): string | undefined {
    return this.#token;
  }

  onBegin(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes in what the store says of itself. Another token than the known one begins settling anew. */
  learn({ token, remainingMs }: Lineage): void {
    if (this.#settleMs === 0) return;
    const lost = this.#token !== undefined && this.#token !== token;
    this.#token = token;
    const before = this.remainingMs;
    this.prolong(lost ? Math.max(remainingMs, this.#settleMs) : remainingMs);
    if (lost || (before === 0 && this.remainingMs > 0)) {
      for (const listener of this.#listeners) listener();
    }
  }

  /** Settles until at least `ms` from now, without calling anybody back. */
  prolong(ms: number): void {
    if (this.#settleMs === 0) return;
    this.#until = Math.max(this.#until, performance.now() + ms);
  }
}
