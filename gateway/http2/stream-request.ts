import type { IncomingHttpHeaders } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import type { StreamHead } from './stream-head.ts';

/** What the lane looks at of a connection. Each stream has one of its own, so none waits for another. */
interface StreamSocket {
  readonly remoteAddress: string | undefined;
  readonly encrypted: true;
  readonly destroyed: boolean;
  setTimeout(ms: number): void;
}

/**
 * The request of an HTTP/2 stream, with what the full lane and http-proxy-3 use of an `http.IncomingMessage`. Node's own
 * compatibility layer is not used: it ends a body that was reset as it ends one that is whole.
 */
export class StreamRequest extends Readable {
  readonly method: string;
  url: string;
  headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly httpVersionMajor = 1;
  readonly socket: StreamSocket;
  /** All of the body has arrived. */
  complete: boolean;
  readonly #stream: ServerHttp2Stream;
  readonly #declared: number | undefined;
  #received = 0;
  #isRead = false;

  constructor(
    stream: ServerHttp2Stream,
    head: StreamHead,
    connection: { remoteAddress: string | undefined; ended: boolean },
  ) {
    super();
    this.#stream = stream;
    this.method = head.method;
    this.url = head.url;
    this.headers = head.headers;
    this.rawHeaders = head.rawHeaders;
    this.httpVersion = head.httpVersion;
    const { remoteAddress } = connection;
    this.socket = {
      remoteAddress,
      encrypted: true,
      get destroyed() {
        return stream.destroyed;
      },
      setTimeout: (ms) => {
        if (!stream.destroyed) stream.setTimeout(ms);
      },
    };
    const length = head.headers['content-length'];
    this.#declared = length === undefined ? undefined : Number(length);
    this.complete = connection.ended;
    if (connection.ended) this.push(null);
    stream.on('timeout', () => this.emit('timeout'));
    stream.once('close', () => this.#breakOff());
  }

  /** As `http.IncomingMessage` has it: `late` is called for every such pause. */
  setTimeout(ms: number, late?: () => void): this {
    if (late) this.on('timeout', late);
    this.socket.setTimeout(ms);
    return this;
  }

  override _read(): void {
    if (this.complete) return;
    if (!this.#isRead) {
      // Not before: until somebody wants the body, the client's window holds it back.
      this.#isRead = true;
      this.#stream.on('data', (chunk: Buffer) => {
        if (this.destroyed) return;
        this.#received += chunk.length;
        if (this.#declared !== undefined && this.#received > this.#declared) this.#refuse();
        else if (!this.push(chunk)) this.#stream.pause();
      });
      this.#stream.once('end', () => this.#end());
    }
    this.#stream.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Who does not listen hears of it by `close`.
    callback(this.listenerCount('error') > 0 ? error : null);
  }

  #end(): void {
    // A stream that was reset ends, too, and would look whole where nobody declared a length.
    if (this.#stream.closed || this.destroyed) return;
    if (this.#declared !== undefined && this.#received !== this.#declared) {
      this.#refuse();
      return;
    }
    this.complete = true;
    this.push(null);
  }

  /** The body has another length than its head says. */
  #refuse(): void {
    this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  #breakOff(): void {
    if (this.complete || this.destroyed) return;
    const error: NodeJS.ErrnoException = new Error('the client broke off within its request');
    // By this http-proxy-3 tells a client that went from a backend that did.
    error.code = 'ECONNRESET';
    this.destroy(error);
  }
}
