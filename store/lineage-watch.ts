import type { Logger } from 'pino';
import { asStickshiftError } from '../protocol/errors.ts';

/** Between two looks. */
const LONGEST_PAUSE_MS = 3_000;
const SHORTEST_PAUSE_MS = 100;

/**
 * Looks now and then whether the store still is what this process knows: it may be emptied without any connection breaking,
 * and another process may have found out, or prolong the settling. Never keeps the process alive.
 */
export class LineageWatch {
  readonly #look: () => Promise<void>;
  readonly #pauseMs: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param settleMs - `store.settle`; the pause is short enough that one who learns of the settling last still gets
   *   half of it. 0: never looks
   */
  constructor(look: () => Promise<void>, settleMs: number, logger: Logger) {
    this.#look = look;
    this.#pauseMs = Math.max(SHORTEST_PAUSE_MS, Math.min(LONGEST_PAUSE_MS, settleMs / 2));
    this.#log = logger;
    if (settleMs > 0) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#tick(), this.#pauseMs).unref();
  }

  async #tick(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      // What keeps the store from answering is logged where it is noticed first, once per outage.
      const { code, message } = asStickshiftError(error);
      this.#log.debug({ code, reason: message }, 'the store could not be asked whether it is settling');
    }
    this.#schedule();
  }
}
