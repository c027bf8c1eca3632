/** How often due entries are looked for, milliseconds; a retry is never earlier than asked, and at most this much later. */
const GRAIN_MS = 50;

/** Sessions that failed for a reason of their own and are to be tried again later. One timer for all of them. */
export class Resting {
  readonly #dueAt = new Map<string, number>();
  readonly #retry: (sessionId: string) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(retry: (sessionId: string) => void) {
    this.#retry = retry;
  }

  /** Calls `retry` for the session in `delayMs`. */
  add(sessionId: string, delayMs: number): void {
    this.#dueAt.set(sessionId, performance.now() + delayMs);
    this.#arm();
  }

  /** Has the session retried in at most `delayMs`, if it rests. */
  hasten(sessionId: string, delayMs: number): void {
    const dueAt = this.#dueAt.get(sessionId);
    if (dueAt !== undefined) this.#dueAt.set(sessionId, Math.min(dueAt, performance.now() + delayMs));
  }

  has(sessionId: string): boolean {
    return this.#dueAt.has(sessionId);
  }

  delete(sessionId: string): void {
    this.#dueAt.delete(sessionId);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#dueAt.clear();
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const [sessionId, dueAt] of this.#dueAt) {
        if (dueAt > now) continue;
        this.#dueAt.delete(sessionId);
        this.#retry(sessionId);
      }
      if (this.#dueAt.size > 0) this.#arm();
    }, GRAIN_MS);
  }
}
