import { RecentMap } from '../memory/recent-map.ts';

/** What is known of a header field by its name alone. */
export interface FieldName<Fate extends string> {
  readonly lower: string;
  readonly fate: Fate;
  /** Decisions read its value. */
  readonly isRead: boolean;
  /** Number of the head in which it was seen last: a second one in the same head is a duplicate. */
  seenIn: number;
}

/** Names beyond those that everybody uses; clients can make up as many as they like. */
const REMEMBERED = 2_048;

/**
 * Header field names by their spelling, so that a head costs a look-up per field and no string is lower-cased twice. Those with a
 * fate of their own are kept for good; what else clients and apps make up is forgotten again.
 */
export class FieldNames<Fate extends string> {
  readonly #fateOf: (lower: string) => Fate;
  readonly #isRead: (lower: string) => boolean;
  readonly #permanent = new Map<string, FieldName<Fate>>();
  readonly #bySpelling = new RecentMap<string, FieldName<Fate>>(REMEMBERED);
  readonly #byName = new RecentMap<string, FieldName<Fate>>(REMEMBERED);

  /**
   * @param permanent - lower-cased names that are never forgotten: all that framing depends on
   * @param fateOf - takes a lower-cased name
   * @param isRead - takes a lower-cased name
   */
  constructor(
    permanent: Iterable<string>,
    fateOf: (lower: string) => Fate,
    isRead: (lower: string) => boolean,
  ) {
    this.#fateOf = fateOf;
    this.#isRead = isRead;
    for (const lower of permanent) this.#permanent.set(lower, this.#make(lower));
  }

  /** @param spelling - as received; may be a slice of a longer string */
  of(spelling: string): FieldName<Fate> {
    return this.#bySpelling.get(spelling) ?? this.#learn(spelling);
  }

  #learn(slice: string): FieldName<Fate> {
    // Not the slice itself: it would keep the whole head in memory.
    const spelling = Buffer.from(slice, 'latin1').toString('latin1');
    const lower = spelling.toLowerCase();
    let name = this.#permanent.get(lower) ?? this.#byName.get(lower);
    if (!name) {
      name = this.#make(lower);
      this.#byName.set(lower, name);
    }
    this.#bySpelling.set(spelling, name);
    return name;
  }

  #make(lower: string): FieldName<Fate> {
    return { lower, fate: this.#fateOf(lower), isRead: this.#isRead(lower), seenIn: 0 };
  }
}
