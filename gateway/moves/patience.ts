import { setTimeout as sleep } from 'node:timers/promises';
import type { StickshiftError } from '../../protocol/errors.ts';

const SHORTEST_MS = 25;
const LONGEST_MS = 200;

/** How long a session may be looked for, and how often one asks meanwhile. */
export class Patience {
  readonly #endsAt: number;
  #pauseMs = SHORTEST_MS;

  /** @param ms - from now */
  constructor(ms: number) {
    this.#endsAt = performance.now() + ms;
  }

  /** Waits a little, longer each time; throws what `giveUp` makes when the time would be over by then. */
  async pause(giveUp: () => StickshiftError): Promise<void> {
    await this.wait(this.#pauseMs, giveUp);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_MS);
  }

  /** Waits so long, or throws at once what `giveUp` makes when the time would be over by then. */
  async wait(ms: number, giveUp: () => StickshiftError): Promise<void> {
    if (performance.now() + ms >= this.#endsAt) throw giveUp();
    await sleep(ms);
  }
}
