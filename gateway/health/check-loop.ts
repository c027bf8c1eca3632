import { context, ROOT_CONTEXT } from '@opentelemetry/api';

/** Checks that are asked for in between come no closer together than this, however many requests fail at once. */
const MIN_PAUSE_MS = 100;
/** Share of the interval by which each pause varies, so that several gateways do not check in step. */
const JITTER = 0.2;

/** Runs one check again and again, one at a time. */
export class CheckLoop {
  readonly #check: (prompted: boolean) => Promise<void>;
  readonly #intervalMs: number;
  readonly #firstEnded = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #prompted = false;
  #running = false;
  #stopped = false;
  #lastEndedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param check - must not reject; `prompted` is true when {@link CheckLoop.prompt} asked for it
   * @param intervalMs - pause between the end of a check and the next one
   */
  constructor(check: (prompted: boolean) => Promise<void>, intervalMs: number) {
    this.#check = check;
    this.#intervalMs = intervalMs;
  }

  /** Resolves when the first check has ended, or the loop was stopped before. */
  start(): Promise<void> {
    void this.#run();
    return this.#firstEnded.promise;
  }

  /** Asks for a check that begins after this moment, soon. */
  prompt(): void {
    if (this.#stopped || this.#prompted) return;
    this.#prompted = true;
    // A check under way may have begun before whatever happened; the next one follows it.
    if (!this.#running) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#firstEnded.resolve();
  }

  async #run(): Promise<void> {
    const prompted = this.#prompted;
    this.#prompted = false;
    this.#running = true;
    await this.#check(prompted);
    this.#running = false;
    this.#lastEndedAt = performance.now();
    this.#firstEnded.resolve();
    if (!this.#stopped) this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const sinceLast = performance.now() - this.#lastEndedAt;
    const pause = this.#prompted
      ? Math.max(0, MIN_PAUSE_MS - sinceLast)
      : this.#intervalMs * (1 + JITTER * (2 * Math.random() - 1));
    // What asked for a check was a request, and checks go on for ever: its trace must not.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(() => void this.#run(), pause));
  }
}
