const TICK_MS = 250;

/** Notices that this process stood still for a while: stopped, or without a processor. It has heard of nothing that happened then. */
export class Standstills {
  #ranAt = performance.now();
  #lastEndedAt = Number.NEGATIVE_INFINITY;
  readonly #longMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param longMs - whoever is silent for less than this is taken for lost by nobody, default 1 s */
  constructor(longMs = 1_000) {
    this.#longMs = longMs;
  }

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
    if (now - this.#ranAt > this.#longMs) this.#lastEndedAt = now;
    this.#ranAt = now;
  }
}
