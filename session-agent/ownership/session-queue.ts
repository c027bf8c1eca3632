/**
 * One operation at a time per session: an adopt never meets a commit of the same session half-way. Operations on
 * different sessions do not wait for each other. An operation must not queue another one for its own session and
 * wait for it.
 */
export class SessionQueue {
  readonly #tails = new Map<string, Promise<void>>();

  run<T>(sessionId: string, operation: () => Promise<T>): Promise<T> {
    const result = (this.#tails.get(sessionId) ?? Promise.resolve()).then(operation);
    const leave = (): void => {
      if (this.#tails.get(sessionId) === tail) this.#tails.delete(sessionId);
    };
    // The caller has `result` and hears of a failure there; those behind it go on.
    const tail: Promise<void> = result.then(leave, leave);
    this.#tails.set(sessionId, tail);
    return result;
  }

  /** Resolves when what is queued for the session now is done; `undefined` when nothing is. */
  idle(sessionId: string): Promise<void> | undefined {
    return this.#tails.get(sessionId);
  }
}
