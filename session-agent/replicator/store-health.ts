import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';

/** Waits between attempts while the store is away, milliseconds. */
export interface BackoffTimes {
  /** After the first failure; doubles with each further one. */
  readonly base: number;
  readonly cap: number;
  /** Longest wait while somebody holds a response for a commit. */
  readonly hurried: number;
}

export const BACKOFF: BackoffTimes = { base: 100, cap: 5_000, hurried: 250 };

/** A store that answers, but refuses this many operations in a row, is as good as away. */
const REFUSALS = 3;

/**
 * What all operations together tell about the store. One gate for everybody: while the store is away a single
 * operation at a time tries it again, however many sessions wait.
 */
export class StoreHealth {
  readonly #times: BackoffTimes;
  readonly #logger: Logger;
  #failures = 0;
  #refusals = 0;
  #retryAt = 0;
  #failedAt = 0;
  #lastCode: string | undefined;
  /** Called when the store answers again. */
  onRecovered: () => void = () => undefined;
  /** Called when the store has turned out to be away. */
  onLost: () => void = () => undefined;

  constructor(logger: Logger, times: BackoffTimes = BACKOFF) {
    this.#logger = logger;
    this.#times = times;
  }

  get isOk(): boolean {
    return this.#failures === 0;
  }

  /** Code of the failure that the store is in. */
  get failure(): string | undefined {
    return this.#lastCode;
  }

  /** Milliseconds until the store may be tried again; 0 or less: now. */
  waitMs(hurried: boolean): number {
    if (this.isOk) return 0;
    const at = hurried ? Math.min(this.#retryAt, this.#failedAt + this.#times.hurried) : this.#retryAt;
    return at - performance.now();
  }

  /** Learns from the outcome of one store operation. Rejects with a `StickshiftError`, whatever the store threw. */
  async watch<T>(operation: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      const result = await operation;
      this.#succeeded();
      return result;
    } catch (error) {
      const failure = asStickshiftError(error);
      // It wrote, and answered; only its replicas did not.
      if (failure.code === 'STORE_NOT_REPLICATED') this.#succeeded();
      else if (isOutage(failure.code) || ++this.#refusals >= REFUSALS) this.#failed(failure, startedAt);
      throw failure;
    }
  }

  #succeeded(): void {
    this.#refusals = 0;
    if (this.isOk) return;
    this.#failures = 0;
    this.#lastCode = undefined;
    this.#logger.info('the store answers again');
    this.onRecovered();
  }

  #failed(failure: Error & { readonly code: string }, startedAt: number): void {
    this.#failedAt = performance.now();
    this.#lastCode = failure.code;
    // Thirty commits that fail together are one failure, and so is a lookup for a request before the next try is due.
    if (!this.isOk && startedAt < this.#retryAt) return;
    const wasOk = this.isOk;
    this.#retryAt = this.#failedAt + jitteredBackoff(this.#failures, this.#times);
    this.#failures++;
    if (!wasOk) return;
    this.#logger.error({ err: failure }, 'the store cannot be reached; changes are kept and retried');
    this.onLost();
  }
}

/** Failures that concern the store as a whole, not one record. */
export function isOutage(code: string): boolean {
  return code === 'STORE_UNREACHABLE' || code === 'STORE_TIMEOUT';
}

/** Between half and all of base · 2^failures, at most the cap: many agents must not come back in step. */
export function jitteredBackoff(failures: number, times: BackoffTimes): number {
  // The exponent is capped too, or a long outage would overflow it.
  const full = Math.min(times.cap, times.base * 2 ** Math.min(failures, 16));
  return full * (0.5 + Math.random() / 2);
}
