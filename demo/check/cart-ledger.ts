/** What became of an attempt to add an item, as far as the client can tell. */
export type AddOutcome =
  /** 2xx: the shop said that it has the item. */
  | 'acknowledged'
  /** 4xx: the shop said that it did not take it. */
  | 'refused'
  /** 5xx or no answer: it may be in the cart or not. */
  | 'indeterminate';

/** One client's own book of what must be in its cart; the shop's word is held against it. */
export class CartLedger {
  readonly #attempts: { readonly id: string; readonly outcome: AddOutcome }[] = [];

  record(id: string, outcome: AddOutcome): void {
    this.#attempts.push({ id, outcome });
  }

  count(outcome: AddOutcome): number {
    return this.#attempts.filter((attempt) => attempt.outcome === outcome).length;
  }

  /**
   * What is wrong with the cart, in words; empty when nothing is. Every acknowledged item must be there exactly once and in
   * the order of the attempts; an indeterminate one may be there, once and in its place; nothing else may.
   */
  audit(cart: readonly string[]): string[] {
    const problems: string[] = [];
    const places = new Map<string, number>();
    for (const [place, id] of cart.entries()) {
      if (places.has(id)) problems.push(`${id} is there twice`);
      else places.set(id, place);
    }
    let last = -1;
    for (const { id, outcome } of this.#attempts) {
      const place = places.get(id);
      places.delete(id);
      if (place === undefined) {
        if (outcome === 'acknowledged') problems.push(`${id} is missing`);
        continue;
      }
      if (outcome === 'refused') problems.push(`${id} was refused and is there`);
      if (place < last) problems.push(`${id} is out of order`);
      last = Math.max(last, place);
    }
    for (const id of places.keys()) problems.push(`${id} was never added`);
    return problems;
  }
}
