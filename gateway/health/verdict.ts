/** Turns single checks into up and down: the very first one decides, later ones have to agree in a row. */
export class Verdict {
  readonly #rise: number;
  readonly #fall: number;
  #up: boolean | undefined;
  /** Checks in a row that contradict the verdict. */
  #contradictions = 0;
  #inDoubt = false;

  constructor(options: { rise: number; fall: number }) {
    this.#rise = options.rise;
    this.#fall = options.fall;
  }

  get up(): boolean {
    return this.#up ?? false;
  }

  /**
   * Takes note of a check.
   *
   * @param certain - one such check is enough, because it cannot be a passing trouble
   * @returns the new verdict if there is one; `undefined` when it stays what it was
   */
  note(good: boolean, certain = false): boolean | undefined {
    const decides = this.#up === undefined || this.#inDoubt || certain;
    this.#inDoubt = false;
    if (good === this.#up) {
      this.#contradictions = 0;
      return undefined;
    }
    this.#contradictions += 1;
    if (!decides && this.#contradictions < (good ? this.#rise : this.#fall)) return undefined;
    this.#contradictions = 0;
    this.#up = good;
    return good;
  }

  /**
   * Down for now, on other evidence than a check; the next check decides. Returns whether it was up.
   */
  doubt(): boolean {
    const wasUp = this.up;
    this.#up = false;
    this.#contradictions = 0;
    this.#inDoubt = true;
    return wasUp;
  }
}
