/** Runs tasks of the same key one after the other, and those of different keys side by side. */
export class OneAtATime {
  readonly #last = new Map<string, Promise<unknown>>();

  run<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const former = this.#last.get(key);
    // A task that failed has told its own caller; the next one runs all the same.
    const result = former ? former.then(task, task) : task();
    this.#last.set(key, result);
    const clear = () => {
      if (this.#last.get(key) === result) this.#last.delete(key);
    };
    result.then(clear, clear);
    return result;
  }
}
