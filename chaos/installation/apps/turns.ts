/** A queue per name: whoever takes a turn has it alone until the function that it got is called. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  async take(name: string): Promise<() => void> {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(name, promise);
    await before;
    return () => {
      if (this.#last.get(name) === promise) this.#last.delete(name);
      resolve();
    };
  }
}
