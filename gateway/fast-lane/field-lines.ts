import type { FieldName, FieldNames } from './field-names.ts';
import { COLON, CR, FIELD_VALUE, LF, SPACE, TAB, TOKEN } from './octets.ts';

/**
 * The field lines of one head, as offsets into its text. One object serves every head of a lane in turn: what it says is of the
 * head that was read last, until the next one is read.
 */
export class FieldLines<Fate extends string> {
  count = 0;
  readonly names: FieldName<Fate>[] = [];
  /** Where a line begins. */
  readonly start: Int32Array;
  readonly valueStart: Int32Array;
  /** Without blanks at its end. */
  readonly valueEnd: Int32Array;
  /** Behind the CRLF. */
  readonly end: Int32Array;
  readonly #known: FieldNames<Fate>;

  /** @param limit - most lines in a head */
  constructor(known: FieldNames<Fate>, limit: number) {
    this.#known = known;
    this.start = new Int32Array(limit);
    this.valueStart = new Int32Array(limit);
    this.valueEnd = new Int32Array(limit);
    this.end = new Int32Array(limit);
  }

  /**
   * Reads field lines up to the empty line.
   *
   * @param text - one character per octet
   * @param from - where the first line begins
   * @param end - behind the last line's CRLF: where the empty line begins
   * @returns false when a line is not what RFC 9112, 5 says, or there are too many
   */
  read(text: string, from: number, end: number): boolean {
    this.#known.beginHead();
    let at = from;
    let count = 0;
    while (at < end) {
      if (count === this.start.length) return false;
      const start = at;
      while (TOKEN[text.charCodeAt(at)] === 1) at++;
      if (at === start || text.charCodeAt(at) !== COLON) return false;
      this.names[count] = this.#known.of(text.slice(start, at));
      at++;
      while (isBlank(text.charCodeAt(at))) at++;
      const valueStart = at;
      while (FIELD_VALUE[text.charCodeAt(at)] === 1) at++;
      // Anything but CRLF here is a control character, a bare CR, or a bare LF.
      if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) return false;
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
      at += 2;
      this.start[count] = start;
      this.valueStart[count] = valueStart;
      this.valueEnd[count] = valueEnd;
      this.end[count] = at;
      count++;
    }
    this.count = count;
    return at === end;
  }

  name(index: number): FieldName<Fate> {
    return this.names[index] as FieldName<Fate>;
  }

  /** @param head - number of the head that was read last, as its names are marked with it */
  has(lower: string, head: number): boolean {
    return this.#known.of(lower).seenIn === head;
  }

  value(text: string, index: number): string {
    return text.slice(this.valueStart[index], this.valueEnd[index]);
  }

  /** Whether the line reads `name: value`, with no other blanks. */
  isPlain(text: string, index: number): boolean {
    const valueStart = this.valueStart[index] as number;
    return (
      (this.valueEnd[index] as number) + 2 === this.end[index] &&
      text.charCodeAt(valueStart - 1) === SPACE &&
      text.charCodeAt(valueStart - 2) === COLON
    );
  }
}

function isBlank(octet: number): boolean {
  return octet === SPACE || octet === TAB;
}
