const LONGEST_MS = 60_000;

/** What requests themselves tell of a backend: failures in a row, and how long it is then left alone. */
export class Ejection {
  readonly #threshold: number;
  readonly #firstMs: number;
  #failures = 0;
  #nextMs: number;

  constructor(options: { failures: number; duration: number }) {
    this.#threshold = options.failures;
    this.#firstMs = options.duration;
    this.#nextMs = options.duration;
  }

  /** True when nothing has failed since the last success: {@link Ejection.succeeded} would change nothing. */
  get isClean(): boolean {
    return this.#failures === 0 && this.#nextMs === this.#firstMs;
  }

  /** Counts a failure; true when there were enough in a row. Counting begins anew then. */
  failed(): boolean {
    this.#failures += 1;
    if (this.#failures < this.#threshold) return false;
    this.#failures = 0;
    return true;
  }

  /** Length of the ejection that begins now, milliseconds. The next one lasts twice as long, up to a minute. */
  begin(): number {
    const length = this.#nextMs;
    this.#nextMs = Math.max(length, Math.min(2 * length, LONGEST_MS));
    return length;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#nextMs = this.#firstMs;
  }
}
