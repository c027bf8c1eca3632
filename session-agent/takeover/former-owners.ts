/**
 * Sessions that this agent took over from under an active owner a moment ago. One that is cut off from the store has not heard of it,
 * and until its leases have run out some gateway may still trust it, and show what is retired here.
 */
export class FormerOwners {
  readonly #trustMs: number;
  readonly #bornAt: number;
  /** `performance.now()` of the takeover, by session ID; the oldest is at the front. */
  readonly #takenAt = new Map<string, number>();

  /**
   * @param trustMs - how long gateways may trust an owner that hears nothing from the store
   * @param bornAt - `performance.now()` when this agent began; what its former life took over right before, it does not know.
   *   `undefined`: it had none
   */
  constructor(trustMs: number, bornAt: number | undefined) {
    this.#trustMs = trustMs;
    this.#bornAt = bornAt ?? Number.NEGATIVE_INFINITY;
  }

  /** The session was taken over by now. */
  lost(sessionId: string): void {
    const now = performance.now();
    // Deleted first, so that the map stays in order of time.
    this.#takenAt.delete(sessionId);
    this.#takenAt.set(sessionId, now);
    for (const [id, at] of this.#takenAt) {
      if (now - at < this.#trustMs) break;
      this.#takenAt.delete(id);
    }
  }

  /** Whether this agent knows to have taken the session over, and its former owner may be trusted yet. */
  mayServe(sessionId: string): boolean {
    return this.#remainingMs(this.#takenAt.get(sessionId)) > 0;
  }

  /** Resolves when nobody can trust a former owner of the session any more; mostly that is at once. */
  async gone(sessionId: string): Promise<void> {
    const takenAt = Math.max(this.#bornAt, this.#takenAt.get(sessionId) ?? Number.NEGATIVE_INFINITY);
    const remainingMs = this.#remainingMs(takenAt);
    if (remainingMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(remainingMs)).unref());
  }

  #remainingMs(takenAt = Number.NEGATIVE_INFINITY): number {
    return takenAt + this.#trustMs - performance.now();
  }
}
