const SHORTEST_MS = 100;
const LONGEST_MS = 10_000;

/** How long to wait before a worker that has died is replaced: longer and longer while they die young. */
export class ReplacementPause {
  #nextMs = 0;

  /**
   * @param livedMs - since it began to serve; 0 when it never did
   * @returns milliseconds: 0 for one that had lived for a while, else 100 and twice as much each time, up
   * to 10 s
   */
  after(livedMs: number): number {
    if (livedMs >= LONGEST_MS) this.#nextMs = 0;
    const pause = this.#nextMs;
    this.#nextMs = Math.min(Math.max(SHORTEST_MS, 2 * pause), LONGEST_MS);
    return pause;
  }
}
