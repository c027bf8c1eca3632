/** An answer that waits for its client, or a part of one. */
export interface WaitingAnswer {
  /** Answers of one connection have the same. */
  readonly connection: object;
  /** Octets of it that wait. */
  readonly writableLength: number;
  /** Its client takes none of it. */
  giveUp(): void;
}

interface AnswerWatchOptions {
  /** Longest time in which a client takes nothing of an answer, milliseconds. */
  readonly idleTimeoutMs: number;
  /** With more octets than these waiting on one connection, its client has a tenth of the time. */
  readonly crowdLimit: number;
}

/**
 * Gives up answers that clients do not take. HTTP/2 needs it: a client that grants no window holds an answer back on a
 * connection that works, and up to a hundred of them at once.
 */
export class AnswerWatch {
  readonly #options: AnswerWatchOptions;
  /** Since when, `performance.now()`; who has waited longest comes first. */
  readonly #waiting = new Map<WaitingAnswer, number>();
  #looking: NodeJS.Timeout | undefined;

  constructor(options: AnswerWatchOptions) {
    this.#options = options;
  }

  /** The answer waits from now on: it has begun to, or its client has taken a part. */
  waits(answer: WaitingAnswer): void {
    this.#waiting.delete(answer);
    this.#waiting.set(answer, performance.now());
    this.#looking ??= setInterval(
      () => this.#look(),
      Math.min(1_000, this.#options.idleTimeoutMs / 10),
    ).unref();
  }

  /** Nothing of it waits any more. */
  taken(answer: WaitingAnswer): void {
    this.#waiting.delete(answer);
  }

  #look(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#looking);
      this.#looking = undefined;
      return;
    }
    const { idleTimeoutMs, crowdLimit } = this.#options;
    const octets = new Map<object, number>();
    for (const { connection, writableLength } of this.#waiting.keys())
      octets.set(connection, (octets.get(connection) ?? 0) + writableLength);
    const now = performance.now();
    for (const [answer, since] of this.#waiting) {
      const { connection, writableLength } = answer;
      const all = octets.get(connection) ?? 0;
      if (now - since < (all > crowdLimit ? idleTimeoutMs / 10 : idleTimeoutMs)) continue;
      octets.set(connection, all - writableLength);
      this.#waiting.delete(answer);
      answer.giveUp();
    }
  }
}
