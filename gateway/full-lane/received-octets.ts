import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const HEAD_END = Buffer.from('\r\n\r\n');
const CRLF_TWICE = HEAD_END.readUInt32BE();
const STATUS_AT = 'HTTP/1.1 '.length;
const ONE = 0x31;
const NOTHING = Buffer.alloc(0);

/**
 * What a backend's connection has brought since its request was sent. Node's parser takes the beginning of another message behind an
 * answer without a word, and would let the connection be used again.
 */
export class ReceivedOctets {
  readonly #socket: Duplex;
  #state: 'idle' | 'head' | 'body' = 'idle';
  #total = 0;
  /** While the head of the answer is to come. */
  #pieces: Buffer[] = [];
  /** At least the last four octets, if there were so many. */
  #last: Buffer = NOTHING;
  /** Where an answer whose length is told must end; `undefined`: at the end of its head or of its last chunk. */
  #end: number | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => this.#take(piece));
  }

  /** A request is about to be sent. */
  begin(): void {
    this.#state = 'head';
    this.#total = 0;
    this.#end = undefined;
  }

  /** The head of the answer has come. To be called before anything behind it is read. */
  head({ statusCode = 0, headers }: IncomingMessage, method: string): void {
    if (this.#state !== 'head') return;
    this.#state = 'body';
    const length = Number(headers['content-length'] ?? 0);
    const isBodiless = method === 'HEAD' || statusCode === 204 || statusCode === 304;
    if (!isBodiless && headers['transfer-encoding'] === undefined) this.#end = this.#headEnd() + length;
    this.#pieces = [];
  }

  /** The answer has ended. Whether it did so with the last octet that came; what comes from here on belongs to no answer. */
  isUsedUp(): boolean {
    const isWhole = this.#state === 'body';
    const last = this.#last;
    this.#state = 'idle';
    this.#pieces = [];
    this.#last = NOTHING;
    if (!isWhole) return false;
    if (this.#end !== undefined) return this.#total === this.#end;
    return last.length >= HEAD_END.length && last.readUInt32BE(last.length - HEAD_END.length) === CRLF_TWICE;
  }

  #take(piece: Buffer): void {
    if (this.#state === 'idle') {
      this.#socket.destroy();
      return;
    }
    this.#total += piece.length;
    this.#last = piece.length >= HEAD_END.length ? piece : Buffer.concat([this.#last, piece]).subarray(-7);
    if (this.#state === 'head') this.#pieces.push(piece);
  }

  /** Behind the final head: those before it have a status that begins with a 1. `NaN`: not to be found. */
  #headEnd(): number {
    const [first = NOTHING, ...more] = this.#pieces;
    const received = more.length > 0 ? Buffer.concat(this.#pieces) : first;
    for (let begin = 0; ; ) {
      const at = received.indexOf(HEAD_END, begin);
      if (at === -1) return Number.NaN;
      if (received[begin + STATUS_AT] !== ONE) return at + HEAD_END.length;
      begin = at + HEAD_END.length;
    }
  }
}
