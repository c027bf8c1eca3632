/**
 * Asks, for many at once, how things are from now on: those who come while the question is out share the next one, because
 * the answer under way may be of a moment before they came.
 */
export class AppProbe {
  readonly #ask: () => Promise<boolean>;
  #underWay: Promise<boolean> | undefined;
  #next: Promise<boolean> | undefined;

  constructor(ask: () => Promise<boolean>) {
    this.#ask = ask;
  }

  isAlive(): Promise<boolean> {
    if (!this.#underWay) return this.#begin();
    const afterwards = () => {
      this.#next = undefined;
      return this.#begin();
    };
    this.#next ??= this.#underWay.then(afterwards, afterwards);
    return this.#next;
  }

  #begin(): Promise<boolean> {
    const answer = this.#ask().finally(() => {
      if (this.#underWay === answer) this.#underWay = undefined;
    });
    this.#underWay = answer;
    return answer;
  }
}
