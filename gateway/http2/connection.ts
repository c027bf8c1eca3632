import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { StreamRequest } from './stream-request.ts';
import type { StreamResponse } from './stream-response.ts';

/** How long a client has to take resets and the GOAWAY, milliseconds. */
const LAST_WORDS = 1_000;

interface ConnectionTimeouts {
  /** The first request must have begun by then, milliseconds. */
  readonly head: number;
  /** Longest time without a request under way. */
  readonly keepAlive: number;
}

/** A connection of HTTP/2, with what is under way on it. */
export class Http2Connection {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #underWay = new Map<StreamResponse, StreamRequest>();
  #open = 0;

  constructor(session: ServerHttp2Session, socket: Socket, timeouts: ConnectionTimeouts) {
    this.#session = session;
    this.#socket = socket;
    session.on('stream', (stream) => {
      this.#open += 1;
      session.setTimeout(timeouts.keepAlive);
      stream.once('close', () => {
        this.#open -= 1;
      });
    });
    // Until the first request it is a head that is waited for.
    session.setTimeout(timeouts.head);
    session.on('timeout', () => {
      if (this.#open === 0) this.close();
    });
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  begin(stream: ServerHttp2Stream, request: StreamRequest, response: StreamResponse): void {
    this.#underWay.set(response, request);
    stream.once('close', () => this.#underWay.delete(response));
  }

  /** No request after those under way. */
  close(): void {
    this.#session.close();
    if (this.#open === 0) this.#cut();
  }

  /** The client has taken nothing of this answer for too long. Was it all that is under way, the connection ends. */
  stalled(answer: StreamResponse): void {
    this.#underWay.delete(answer);
    for (const [{ writableFinished }, { complete }] of this.#underWay)
      if (!writableFinished || !complete) return;
    this.#session.close();
    this.#cut();
  }

  /** A session that is closed, or even destroyed, leaves its socket open until the client has taken what was written to it last. */
  #cut(): void {
    const cut = setTimeout(() => this.#socket.destroy(), LAST_WORDS).unref();
    this.#socket.once('close', () => clearTimeout(cut));
  }
}
