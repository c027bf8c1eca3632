/**
 * A map that forgets what was not used lately, in two generations: the young one becomes the old one when it is full, and
 * what the old one still held is gone. Cheaper than a strict LRU, and never larger than its limit.
 */
export class RecentMap<Key, Value> {
  readonly #generationSize: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  /** @param limit - most entries kept, at least 2 */
  constructor(limit: number) {
    this.#generationSize = Math.max(1, Math.floor(limit / 2));
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: Key, value: Value): void {
    if (this.#young.size >= this.#generationSize && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  /** Entries held; one that is in both generations counts twice. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

/**
 * A copy of a text that was cut out of a longer one. V8 keeps the whole of it alive behind a slice, so a slice kept as a key
 * would keep a head of many KiB.
 *
 * @param slice - Latin-1, as everything in a request head
 */
export function detached(slice: string): string {
  return Buffer.from(slice, 'latin1').toString('latin1');
}
