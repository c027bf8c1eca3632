import { context } from '@opentelemetry/api';
import type { StoreHealth } from './store-health.ts';

/** In order of urgency: tombstones, commits that a response waits for, other commits, idle deadlines. */
const LANES = ['end', 'awaited', 'commit', 'touch'] as const;
export type Lane = (typeof LANES)[number];

/** Touches never take more than this share of the slots, so that a commit seldom finds all of them taken. */
const TOUCH_SHARE = 1 / 4;

/**
 * Runs store operations in the background: at most `concurrency` at once, the most urgent lane first, one per lane and
 * session, and while the store is away only one at a time, when {@link StoreHealth} says so.
 */
export class Dispatcher {
  readonly #lanes: Record<Lane, Map<string, () => Promise<void>>> = {
    end: new Map(),
    awaited: new Map(),
    commit: new Map(),
    touch: new Map(),
  };
  readonly #concurrency: number;
  readonly #health: StoreHealth;
  #running = 0;
  #touching = 0;
  #probing = false;
  #hurried = 0;
  #wake: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(concurrency: number, health: StoreHealth) {
    this.#concurrency = concurrency;
    this.#health = health;
    health.onRecovered = () => this.#pump();
  }

  /** Queues an operation for a session. It replaces one that still waits in the same lane. `run` must not reject. */
  add(lane: Lane, sessionId: string, run: () => Promise<void>): void {
    // Whatever makes room for it later belongs to another trace.
    this.#lanes[lane].set(sessionId, context.bind(context.active(), run));
    this.#pump();
  }

  has(lane: Lane, sessionId: string): boolean {
    return this.#lanes[lane].has(sessionId);
  }

  remove(lane: Lane, sessionId: string): void {
    this.#lanes[lane].delete(sessionId);
  }

  /** As long as `answer` is awaited, a store that is away is tried more often. */
  async hurry<T>(answer: Promise<T>): Promise<T> {
    this.#hurried++;
    this.#pump();
    try {
      return await answer;
    } finally {
      this.#hurried--;
    }
  }

  /** Starts nothing any more; what runs ends by itself. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#wake);
  }

  #pump(): void {
    clearTimeout(this.#wake);
    while (!this.#stopped && this.#running < this.#concurrency) {
      const probe = !this.#health.isOk;
      if (probe) {
        if (this.#probing) return;
        const waitMs = this.#health.waitMs(this.#hurried > 0);
        if (waitMs > 0) {
          this.#wake = setTimeout(() => this.#pump(), Math.ceil(waitMs));
          return;
        }
      }
      const next = this.#take();
      if (!next) return;
      void this.#run(next.run, next.lane, probe);
    }
  }

  #take(): { readonly lane: Lane; readonly run: () => Promise<void> } | undefined {
    for (const lane of LANES) {
      if (lane === 'touch' && this.#touching >= Math.max(1, this.#concurrency * TOUCH_SHARE)) continue;
      for (const [sessionId, run] of this.#lanes[lane]) {
        this.#lanes[lane].delete(sessionId);
        return { lane, run };
      }
    }
    return undefined;
  }

  async #run(run: () => Promise<void>, lane: Lane, probe: boolean): Promise<void> {
    this.#running++;
    if (probe) this.#probing = true;
    if (lane === 'touch') this.#touching++;
    try {
      await run();
    } finally {
      this.#running--;
      if (probe) this.#probing = false;
      if (lane === 'touch') this.#touching--;
      this.#pump();
    }
  }
}
