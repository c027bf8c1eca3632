const SHORTEST_MS = 50;
const LONGEST_MS = 500;

/** How long to wait between two calls of a loop that waits for others: shortly while something moves, longer when nothing does. */
export class Pace {
  #pauseMs = SHORTEST_MS;
  #interrupt: () => void = () => undefined;

  /**
   * @param step.progress - how much the last call brought about; a full `batch` means that the next may follow at once
   * @param step.latest - never waits longer than until then, `performance.now()`
   */
  async pause(step: { progress: number; batch: number; latest: number }): Promise<void> {
    this.#pauseMs = step.progress > 0 ? SHORTEST_MS : Math.min(2 * this.#pauseMs, LONGEST_MS);
    if (step.progress >= step.batch) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#interrupt = resolve;
    const timer = setTimeout(resolve, Math.max(0, Math.min(this.#pauseMs, step.latest - performance.now())));
    await promise;
    clearTimeout(timer);
  }

  /** Ends the pause under way. */
  interrupt(): void {
    this.#interrupt();
  }
}
