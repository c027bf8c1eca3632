const TICK_MS = 250;
/** Whoever is silent for less than this is taken for lost by nobody, milliseconds. */
const LONG_MS = 1_000;

/** Notices that this process stood still for a while: stopped, or without a processor. It has heard of nothing that happened then. */
export class Standstills {
  #ranAt = performance.now();
  #lastEndedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  start(): void {
    this.#timer = setInterval(() => this.#look(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** `performance.now()` when this process last ran again after it had stood still. */
  get lastEndedAt(): number {
    // A process that wakes up reads what has come in first, and looks at its timers later.
    this.#look();
    return this.#lastEndedAt;
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#ranAt > LONG_MS) this.#lastEndedAt = now;
    this.#ranAt = now;
  }
}
