import type { RecallUnderWay } from './recall-under-way.ts';

/**
 * What the agent wants to know of a session that its app has removed: may a request of it have broken off? By one recall it asks the
 * gateways that hold a lease, and by further ones those that begin theirs meanwhile.
 */
export class Inquiry {
  readonly sessionId: string;
  /** Resolves when nothing more is to be learned. */
  readonly settled: Promise<void>;
  readonly recalls: RecallUnderWay[] = [];
  readonly #settle: () => void;
  #isHeard = false;
  #isDoubtful = false;

  constructor(sessionId: string) {
    this.sessionId = sessionId;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
  }

  /** Every gateway has spoken, one at least, and none of them knows of a request that broke off. */
  get isAnswered(): boolean {
    return this.#isHeard && !this.#isDoubtful && this.recalls.every(({ isOver }) => isOver);
  }

  /** Gateways are asked by this recall. */
  ask(recall: RecallUnderWay): void {
    this.recalls.push(recall);
    void recall.settled.then(() => {
      if (this.isAnswered) this.#settle();
    });
  }

  /** A gateway knows of no request that broke off. */
  hear(): void {
    this.#isHeard = true;
  }

  /** A request broke off, or may have. */
  doubt(): void {
    this.#isDoubtful = true;
    this.#settle();
  }

  /** Nobody waits for it any more. */
  close(): void {
    this.#settle();
  }
}
