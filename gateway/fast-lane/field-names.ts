import { detached } from '../memory/recent-map.ts';

/** What is known of a header field by its name alone. */
export interface FieldName<Fate extends string> {
  readonly lower: string;
  readonly fate: Fate;
  /** Decisions read its value. */
  readonly isRead: boolean;
  /** Number of the head in which it was seen last: a second one in the same head is a duplicate. */
  seenIn: number;
}

/** Spellings that are remembered, beyond those of one head; clients and apps can make up as many as they like. */
const REMEMBERED = 4_096;

/**
 * Header field names by their spelling, so that a head costs a look-up per field and no string is lower-cased twice. Within a head,
 * a name is one object however it is spelt.
 */
export class FieldNames<Fate extends string> {
  readonly #fateOf: (lower: string) => Fate;
  readonly #isRead: (lower: string) => boolean;
  readonly #permanent = new Map<string, FieldName<Fate>>();
  readonly #bySpelling = new Map<string, FieldName<Fate>>();
  readonly #byName = new Map<string, FieldName<Fate>>();

  /**
   * @param permanent - lower-cased names that are never forgotten, so that they can be told by identity
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

  /** Another head begins. All that was made up is forgotten together: half of it would leave two objects for one name. */
  beginHead(): void {
    if (this.#bySpelling.size <= REMEMBERED) return;
    this.#bySpelling.clear();
    this.#byName.clear();
  }

  /** @param spelling - as received; may be a slice of a longer string */
  of(spelling: string): FieldName<Fate> {
    return this.#bySpelling.get(spelling) ?? this.#learn(spelling);
  }

  #learn(slice: string): FieldName<Fate> {
    // Not the slice itself: it would keep the whole head in memory.
    const spelling = detached(slice);
    const lower = spelling.toLowerCase();
    let name = this.#permanent.get(lower) ?? this.#byName.get(lower);
    if (!name) {
      name = this.#make(lower);
      this.#byName.set(lower, name);
    }
    this.#bySpelling.set(spelling, name);
    return name;
  }

  #make(name: string): FieldName<Fate> {
    // The one copy that V8 has of a key: with any other, each look-up in an object would have to find this one first.
    const [lower = name] = Object.keys({ [name]: true });
    return { lower, fate: this.#fateOf(lower), isRead: this.#isRead(lower), seenIn: 0 };
  }
}
