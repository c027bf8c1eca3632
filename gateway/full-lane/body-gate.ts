import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { GatedBody } from './attempt.ts';

/**
 * A request body that stays with the client until a backend is connected. http-proxy-3 pipes the body as soon as it is
 * called; without the gate, a refused connection would have swallowed the first bytes and the request could not go to
 * another backend.
 */
export class BodyGate extends Readable implements GatedBody {
  readonly #request: IncomingMessage;
  readonly #hasBody: boolean;
  #open = false;
  readonly #onData = (chunk: Buffer) => {
    if (!this.push(chunk)) this.#request.pause();
  };
  readonly #onEnd = () => {
    this.push(null);
  };
  // Without an error: nobody listens for one here, and it would end the process. The client's going shows on its response.
  readonly #onError = () => {
    this.destroy();
  };

  constructor(request: IncomingMessage, hasBody: boolean) {
    super();
    this.#request = request;
    this.#hasBody = hasBody;
  }

  /** True when body bytes may have left for a backend: then the request cannot be sent again. */
  get consumed(): boolean {
    return this.#open && this.#hasBody;
  }

  /** Lets the body through. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    if (!this.#hasBody) {
      this.push(null);
      return;
    }
    this.#request.on('data', this.#onData);
    this.#request.on('end', this.#onEnd);
    this.#request.on('error', this.#onError);
  }

  override _read(): void {
    if (this.#open) this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.off('error', this.#onError);
    callback(error);
  }
}
