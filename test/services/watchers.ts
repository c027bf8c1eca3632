/** Those who wait until something holds; it is looked at again whenever something has happened. */
export class Watchers {
  readonly #looks = new Set<() => void>();

  /** Resolves when `condition` holds. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  /** Something has happened. */
  look(): void {
    for (const look of this.#looks) look();
  }
}
