import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const HEAD_END = '\r\n\r\n';

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
  #tail = '';
  #interimHeads = 0;
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
    this.#pieces = [];
    this.#tail = '';
    this.#interimHeads = 0;
    this.#end = undefined;
  }

  interimHead(): void {
    this.#interimHeads += 1;
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
    this.#state = 'idle';
    return isWhole && (this.#end === undefined ? this.#tail === HEAD_END : this.#total === this.#end);
  }

  #take(piece: Buffer): void {
    if (this.#state === 'idle') {
      this.#socket.destroy();
      return;
    }
    this.#total += piece.length;
    this.#tail = (this.#tail + piece.subarray(-HEAD_END.length).toString('latin1')).slice(-HEAD_END.length);
    if (this.#state === 'head') this.#pieces.push(piece);
  }

  #headEnd(): number {
    const received = Buffer.concat(this.#pieces);
    let end = 0;
    for (let heads = this.#interimHeads + 1; heads > 0; heads--) {
      const at = received.indexOf(HEAD_END, end);
      if (at === -1) return Number.NaN;
      end = at + HEAD_END.length;
    }
    return end;
  }
}
