import type { AffinityKey } from './affinity-keys.ts';

/** Backend tags of a pool under every key of the rotation list, computed once: a request costs a look-up. */
export class BackendTags {
  readonly #backends = new Map<AffinityKey, Map<string, string>>();
  readonly #tags: ReadonlyMap<string, string>;

  /**
   * @param keys - whose tags are understood
   * @param signing - the one that makes tags
   */
  constructor(keys: Iterable<AffinityKey>, backendIds: Iterable<string>, signing: AffinityKey) {
    const ids = [...backendIds];
    for (const key of keys) this.#backends.set(key, new Map(ids.map((id) => [key.backendTag(id), id])));
    this.#tags = new Map(ids.map((id) => [id, signing.backendTag(id)]));
  }

  /** The tag under the signing key; `undefined` for a backend that the pool does not have. */
  tagOf(backendId: string): string | undefined {
    return this.#tags.get(backendId);
  }

  /** The backend that a tag made with `key` stands for; `undefined` when the pool has it no longer. */
  backendOf(key: AffinityKey, tag: string): string | undefined {
    return this.#backends.get(key)?.get(tag);
  }
}
