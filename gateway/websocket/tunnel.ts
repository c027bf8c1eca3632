import type { Duplex } from 'node:stream';
import type { Backend } from '../backends/backend.ts';
import { closeFrame, WebSocketFrameBoundary } from './close-frame.ts';

/** RFC 6455, 7.4.1 and the IANA registry: service restart, the client should connect again. */
const SERVICE_RESTART = 1012;

/** How long a half-sent message of the backend may take to end, and the client to go, before the tunnel is cut. */
const CLOSE_WAIT_MS = 1_000;

/** One WebSocket through the gateway. http-proxy-3 moves the bytes; this knows where a message ends. */
export class Tunnel {
  readonly backend: Backend;
  readonly #client: Duplex;
  readonly #upstream: Duplex;
  readonly #boundary = new WebSocketFrameBoundary();
  #closing = false;

  constructor(options: { backend: Backend; client: Duplex; upstream: Duplex }) {
    this.backend = options.backend;
    this.#client = options.client;
    this.#upstream = options.upstream;
    this.#upstream.on('data', (chunk: Buffer) => this.#observe(chunk));
    // One side's end is the other's: without this a vanished peer leaves the second socket open for good.
    this.#client.once('close', () => this.#upstream.destroy());
    this.#upstream.once('close', () => this.#client.end());
  }

  onEnd(listener: () => void): void {
    this.#client.once('close', listener);
  }

  /** Ends the tunnel between two messages with a close frame. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#upstream.unpipe(this.#client);
    const timer = setTimeout(() => this.#client.destroy(), CLOSE_WAIT_MS);
    this.#client.once('close', () => clearTimeout(timer));
    if (this.#boundary.atBoundary) this.#finish();
    else this.#upstream.resume();
  }

  #observe(chunk: Buffer): void {
    const upToBoundary = this.#boundary.push(chunk, this.#closing);
    if (!this.#closing) return;
    if (upToBoundary === undefined) {
      this.#client.write(chunk);
    } else {
      this.#client.write(chunk.subarray(0, upToBoundary));
      this.#finish();
    }
  }

  #finish(): void {
    this.#upstream.removeAllListeners('data');
    this.#client.end(closeFrame(SERVICE_RESTART, 'service restart'));
    this.#upstream.destroy();
  }
}
