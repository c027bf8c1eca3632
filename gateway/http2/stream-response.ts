import type { OutgoingHttpHeaders } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Writable } from 'node:stream';
import { StickshiftError } from '../../protocol/errors.ts';
import type { WatchedAnswer } from '../full-lane/exchange.ts';
import type { AnswerWatch, WaitingAnswer } from './answer-watch.ts';
import type { StreamRequest } from './stream-request.ts';

/**
 * Octets that are written at once. Only of a whole piece is it known that the client has taken it; so a client that takes long for
 * one gets small ones.
 */
const SMALLEST_PIECE = 1_024;
const LARGEST_PIECE = 16_384;
/** By then a piece is out at a client that reads, milliseconds. */
const QUICK = 100;

/**
 * The answer to an HTTP/2 stream, with what the full lane and http-proxy-3 use of an `http.ServerResponse`. As with that one,
 * `finish` means that all of it is on its way, and `close` without it that the client is gone. `stalled` is emitted when the client
 * has taken nothing of it for too long, and it was reset.
 */
export class StreamResponse extends Writable implements WaitingAnswer, WatchedAnswer {
  readonly req: StreamRequest;
  statusCode = 200;
  headersSent = false;
  /** Need not be looked at: Node adds a Date to an answer without one, and to no other. */
  sendDate = true;
  /** Means nothing here: a connection carries other streams, and is ended by a GOAWAY. */
  shouldKeepAlive = true;
  readonly connection: object;
  readonly #stream: ServerHttp2Stream;
  /** None: the client may take as long as it likes. */
  #watch: AnswerWatch | undefined;
  #piece = SMALLEST_PIECE;

  constructor(
    stream: ServerHttp2Stream,
    request: StreamRequest,
    { connection, watch }: { connection: object; watch: AnswerWatch },
  ) {
    super();
    this.#stream = stream;
    this.req = request;
    this.connection = connection;
    this.#watch = watch;
    stream.once('close', () => this.destroy());
  }

  /**
   * @param message - is not sent: HTTP/2 has none
   * @param headers - names and values in turn, or by name; none that is of a connection
   * @throws StickshiftError `BACKEND_INVALID` for a status that HTTP/2 has not
   */
  writeHead(
    status: number,
    message: string | undefined | Readonly<OutgoingHttpHeaders>,
    headers: readonly string[] | Readonly<OutgoingHttpHeaders> | undefined = typeof message === 'object'
      ? message
      : undefined,
  ): this {
    if (status < 200 || status > 599) {
      throw new StickshiftError('BACKEND_INVALID', `HTTP/2 has no status ${status}`);
    }
    this.statusCode = status;
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) {
      this.destroy();
      return this;
    }
    const endStream = this.req.method === 'HEAD' || status === 204 || status === 205 || status === 304;
    // Node ends the body of a stream that it resets, and the client would read a torn answer as a whole one. While trailers are
    // waited for, nothing ends it but `_final`.
    stream.respond([':status', String(status), ...inTurn(headers)], {
      endStream,
      waitForTrailers: !endStream,
    });
    this.headersSent = true;
    return this;
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    const stream = this.#stream;
    // An answer that has no body in HTTP/2 has ended with its head.
    if (stream.writableEnded) callback();
    // A failure is a stream that closes, which ends this as well.
    else this.#writePiece(chunk, callback);
  }

  #writePiece(chunk: Buffer, callback: () => void): void {
    this.#watch?.waits(this);
    const piece = chunk.subarray(0, this.#piece);
    const rest = chunk.subarray(this.#piece);
    const began = performance.now();
    this.#stream.write(piece, (error) => {
      const isQuick = performance.now() - began < QUICK;
      this.#piece = isQuick ? Math.min(2 * this.#piece, LARGEST_PIECE) : SMALLEST_PIECE;
      if (rest.length > 0 && !error && !this.destroyed) {
        this.#writePiece(rest, callback);
        return;
      }
      this.#watch?.taken(this);
      callback();
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream.writableEnded || stream.closed) {
      callback();
      return;
    }
    // To be sent its end, the client must have taken all before it.
    this.#watch?.waits(this);
    stream.once('wantTrailers', () => {
      if (stream.closed || stream.destroyed) return;
      stream.sendTrailers({});
      // Node sends them in the next turn itself; a reset must not overtake them.
      setImmediate(callback);
    });
    stream.end();
  }

  becomeEndless(): void {
    this.#watch?.taken(this);
    this.#watch = undefined;
  }

  /** Resets it. */
  giveUp(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.destroy();
    this.emit('stalled');
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const stream = this.#stream;
    this.#watch?.taken(this);
    // Without an error code it would be a torn answer that looks whole.
    if (!this.writableFinished) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    callback(this.listenerCount('error') > 0 ? error : null);
  }
}

function inTurn(headers: readonly string[] | Readonly<OutgoingHttpHeaders> = []): readonly string[] {
  if (isInTurn(headers)) return headers;
  return Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
}

/** `Array.isArray` does not know arrays that are read only. */
function isInTurn(headers: readonly string[] | Readonly<OutgoingHttpHeaders>): headers is readonly string[] {
  return Array.isArray(headers);
}
