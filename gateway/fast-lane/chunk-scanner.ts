import { COLON, CR, FIELD_VALUE, HEX, LF, SEMICOLON, TOKEN } from './octets.ts';

/** Hexadecimal digits of a chunk's size, leading zeros among them. */
const MOST_DIGITS = 13;
/** Octets of extensions and trailers in one body, as many as Node takes. */
const MOST_OVERHEAD = 16 * 1024;

const AT = {
  firstDigit: 0,
  digits: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailerStart: 7,
  trailer: 8,
  trailerLf: 9,
  lastLf: 10,
  trailerName: 11,
} as const;
type State = (typeof AT)[keyof typeof AT];

/** States whose octets are sent on where frames are wanted. */
const UNWANTED: readonly State[] = [AT.extension, AT.trailerName, AT.trailer, AT.trailerLf];
const WANTED = Uint8Array.from(Object.values(AT), (state) => Number(!UNWANTED.includes(state)));

/**
 * Finds its way through a chunked body (RFC 9112, 7.1) that arrives in pieces of any size, and says what of it is to be sent on:
 * either the frames, without extensions and trailers, or the data alone.
 */
export class ChunkScanner {
  /** Of the piece that was scanned last: begin and end of each range to be sent on, in turn. */
  readonly ranges: number[] = [];
  state: 'open' | 'done' | 'invalid' = 'open';
  readonly #wantsFrames: boolean;
  #at: State = AT.firstDigit;
  #digits = 0;
  #left = 0;
  #overhead = 0;

  constructor(wants: 'frames' | 'data') {
    this.#wantsFrames = wants === 'frames';
  }

  /**
   * Scans `piece` from `start`, and fills {@link ranges}.
   *
   * @returns behind the last octet that belongs to the body
   */
  scan(piece: Uint8Array, start: number): number {
    const { ranges } = this;
    ranges.length = 0;
    const end = piece.length;
    let at = start;
    /** Where the range begins that is being taken, or -1. */
    let from = this.#isWanted() ? start : -1;
    while (at < end) {
      if (this.#at === AT.data) {
        const taken = Math.min(this.#left, end - at);
        this.#left -= taken;
        at += taken;
        if (this.#left > 0) break;
        this.#at = AT.dataCr;
        if (!this.#wantsFrames) from = this.#take(from, at);
        continue;
      }
      const before = this.#isWanted();
      if (!this.#step(piece[at] as number)) {
        this.#take(from, at);
        this.state = 'invalid';
        return at;
      }
      const after = this.#isWanted();
      // The octet that begins an extension or a trailer belongs to it. So does the one that ends a trailer, its LF; the CR behind
      // an extension is that of the chunk's size.
      if (before && !after) from = this.#take(from, this.#wantsFrames ? at : at + 1);
      else if (!before && after) from = this.#at === AT.sizeLf ? at : at + 1;
      at++;
      if (this.state === 'done') break;
    }
    if (from !== -1) this.#take(from, at);
    return at;
  }

  #isWanted(): boolean {
    if (!this.#wantsFrames) return this.#at === AT.data;
    return WANTED[this.#at] === 1;
  }

  #take(from: number, to: number): -1 {
    if (from !== -1 && to > from) this.ranges.push(from, to);
    return -1;
  }

  /** One octet of framing; false when it may not stand here. */
  #step(octet: number): boolean {
    switch (this.#at) {
      case AT.firstDigit:
        this.#digits = 0;
        this.#left = 0;
        this.#at = AT.digits;
        return this.#digit(octet);
      case AT.digits:
        if (octet === CR) this.#at = AT.sizeLf;
        else if (octet === SEMICOLON) return this.#spend(AT.extension);
        else return this.#digit(octet);
        return true;
      case AT.extension:
        if (octet === CR) this.#at = AT.sizeLf;
        else return FIELD_VALUE[octet] === 1 && this.#spend(AT.extension);
        return true;
      case AT.sizeLf:
        this.#at = this.#left > 0 ? AT.data : AT.trailerStart;
        return octet === LF;
      case AT.dataCr:
        this.#at = AT.dataLf;
        return octet === CR;
      case AT.dataLf:
        this.#at = AT.firstDigit;
        return octet === LF;
      case AT.trailerStart:
        if (octet === CR) this.#at = AT.lastLf;
        else return TOKEN[octet] === 1 && this.#spend(AT.trailerName);
        return true;
      case AT.trailerName:
        return octet === COLON ? this.#spend(AT.trailer) : TOKEN[octet] === 1 && this.#spend(AT.trailerName);
      case AT.trailer:
        if (octet === CR) this.#at = AT.trailerLf;
        else return FIELD_VALUE[octet] === 1 && this.#spend(AT.trailer);
        return true;
      case AT.trailerLf:
        this.#at = AT.trailerStart;
        return octet === LF;
      case AT.lastLf:
        this.state = 'done';
        return octet === LF;
      default:
        return false;
    }
  }

  #digit(octet: number): boolean {
    const value = HEX[octet] as number;
    if (value === 255 || ++this.#digits > MOST_DIGITS) return false;
    this.#left = this.#left * 16 + value;
    return true;
  }

  #spend(next: State): boolean {
    this.#at = next;
    return ++this.#overhead <= MOST_OVERHEAD;
  }
}
