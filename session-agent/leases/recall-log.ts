import type { Recall } from '../../protocol/agent-api.ts';

/** What an entry costs beside its session IDs, roughly, in characters. */
const ENTRY_SIZE = 64;
/** Recalls of one answer together: a gateway reads no endless ones, and asks for the rest at once. */
const ANSWER_SIZE = 64 * 1024;

/** The newest recalls, to be given to every gateway until it says that it has them. */
export class RecallLog {
  readonly #limit: number;
  #recalls: Recall[] = [];
  #size = 0;
  #droppedUpTo = 0;

  /** @param limit - characters of session IDs that are kept, roughly */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(recall: Recall): void {
    this.#recalls.push(recall);
    this.#size += sizeOf(recall);
    let dropped = 0;
    for (const oldest of this.#recalls) {
      if (this.#size <= this.#limit) break;
      this.#size -= sizeOf(oldest);
      this.#droppedUpTo = oldest.recall;
      dropped++;
    }
    if (dropped > 0) this.#recalls = this.#recalls.slice(dropped);
  }

  /** Whether everything after `seen` is still here. */
  reachesBackTo(seen: number): boolean {
    return seen >= this.#droppedUpTo;
  }

  hasAfter(seen: number): boolean {
    return (this.#recalls.at(-1)?.recall ?? -1) > seen;
  }

  /** What comes after `seen`, as much as fits into one answer; `isAll`: nothing was left for the next one. */
  after(seen: number): { readonly recalls: readonly Recall[]; readonly isAll: boolean } {
    const start = this.#recalls.findLastIndex(({ recall }) => recall <= seen) + 1;
    let end = start;
    for (let size = 0; end < this.#recalls.length; end++) {
      const recall = this.#recalls[end];
      size += recall ? sizeOf(recall) : 0;
      if (size > ANSWER_SIZE && end > start) break;
    }
    return { recalls: this.#recalls.slice(start, end), isAll: end === this.#recalls.length };
  }
}

function sizeOf({ sessionIds }: Recall): number {
  return sessionIds.reduce((size, { length }) => size + length, ENTRY_SIZE);
}
