const TICK_MS = 100;

/** Somebody who is told when it has waited for too long. */
export interface Waiting {
  /** By the lane's clock; `Infinity`: it waits for nothing. */
  readonly dueAt: number;
  late(): void;
}

/**
 * One timer for everybody who waits in the lane: a timer of its own for each request would cost more than the request's way
 * through the router. What is due is told up to a tick late, and never early.
 */
export class LaneClock {
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #look: NodeJS.Immediate | undefined;
  #date = '';
  #dateUntil = 0;

  start(): void {
    // A process that stood still runs its timers first. What arrived meanwhile is read before anybody is judged by it.
    const tick = () => {
      this.#look = setImmediate(() => this.#tellLate());
    };
    this.#timer = setInterval(tick, TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#look);
  }

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
  }

  delete(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  /** When something is due that may take `ms`. */
  in(ms: number): number {
    return performance.now() + ms;
  }

  /** For a Date header. */
  get date(): string {
    const now = Date.now();
    // The system's clock may be set back.
    if (now >= this.#dateUntil || now < this.#dateUntil - 1_000) {
      this.#date = new Date(now).toUTCString();
      this.#dateUntil = now - (now % 1_000) + 1_000;
    }
    return this.#date;
  }

  #tellLate(): void {
    const now = performance.now();
    for (const waiting of this.#waiting) if (now >= waiting.dueAt) waiting.late();
  }
}
