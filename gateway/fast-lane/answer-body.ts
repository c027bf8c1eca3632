import { mayHaveBody } from '../forwarding/response-headers.ts';
import type { AnswerHeadReader } from './answer-head.ts';
import { ChunkScanner } from './chunk-scanner.ts';

/** How an answer says where it ends (RFC 9112, 6.3). */
export type Framing = 'none' | 'length' | 'chunks' | 'close';

export function framingOf(method: string, { status, isChunked, contentLength }: AnswerHeadReader): Framing {
  if (!mayHaveBody(method, status)) return 'none';
  if (isChunked) return 'chunks';
  return contentLength === undefined ? 'close' : 'length';
}

/** Finds the end of an answer's body as it arrives, and what of each piece is to be sent on. */
export class AnswerBody {
  readonly framing: Framing;
  /** Of the piece that was taken last: begin and end of each range to be sent on, in turn. */
  ranges: readonly number[] = [];
  readonly #scanner: ChunkScanner | undefined;
  readonly #span: [number, number] = [0, 0];
  #left: number;
  #isClosed = false;

  /**
   * @param length - with framing `length`, bytes
   * @param wants - of a chunked body: its frames as they are, or its data alone
   */
  constructor(framing: Framing, length: number, wants: 'frames' | 'data') {
    this.framing = framing;
    this.#left = framing === 'length' ? length : 0;
    this.#scanner = framing === 'chunks' ? new ChunkScanner(wants) : undefined;
  }

  get state(): 'open' | 'done' | 'invalid' {
    if (this.#scanner) return this.#scanner.state;
    if (this.framing === 'close') return this.#isClosed ? 'done' : 'open';
    return this.#left > 0 ? 'open' : 'done';
  }

  /** The backend has closed its connection: that ends a body with framing `close`. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Takes `piece` from `start`, and sets {@link ranges}.
   *
   * @returns behind the last octet that belongs to the body
   */
  take(piece: Uint8Array, start: number): number {
    if (this.#scanner) {
      const end = this.#scanner.scan(piece, start);
      this.ranges = this.#scanner.ranges;
      return end;
    }
    let end = piece.length;
    if (this.framing !== 'close') {
      end = Math.min(end, start + this.#left);
      this.#left -= end - start;
    }
    this.#span[0] = start;
    this.#span[1] = end;
    this.ranges = this.#span;
    return end;
  }
}
