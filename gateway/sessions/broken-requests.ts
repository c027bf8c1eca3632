import { detached } from '../memory/recent-map.ts';

/** An agent may stand still for a while before it finds a session gone, and is not asked for that any more after so long, milliseconds. */
const MEMORY_MS = 60_000;

/**
 * Sessions of which a request broke off lately, or had its answer withheld: what it did to the session may have been for nothing.
 * Agents ask for them when an app has removed a session and did not say why.
 */
export class BrokenRequests {
  readonly #at = new Map<string, number>();
  readonly #limit: number;
  /** One that broke off then has been forgotten: it may have been of any session. By `performance.now()`. */
  #forgottenAt = Number.NEGATIVE_INFINITY;

  /** @param limit - most sessions remembered, default 10 000 (about 2 MiB) */
  constructor(limit = 10_000) {
    this.#limit = limit;
  }

  /** @param now - `performance.now()` */
  add(ref: string, now = performance.now()): void {
    this.#at.delete(ref);
    for (const [oldest, at] of this.#at) {
      const isOld = now - at >= MEMORY_MS;
      if (!isOld && this.#at.size < this.#limit) break;
      if (!isOld) this.#forgottenAt = at;
      this.#at.delete(oldest);
    }
    this.#at.set(detached(ref), now);
  }

  /**
   * Whether one of the session's may have.
   *
   * @param now - `performance.now()`
   */
  mayInclude(ref: string, now = performance.now()): boolean {
    const at = this.#at.get(ref) ?? this.#forgottenAt;
    return now - Math.max(at, this.#forgottenAt) < MEMORY_MS;
  }
}
