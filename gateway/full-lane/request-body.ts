import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';

/**
 * A request body that stays where it is until a backend is connected. http-proxy-3 pipes the body as soon as it is called;
 * without the wait, a refused connection would have swallowed its first bytes, and the request could not go to another
 * backend. It has of a stream just what http-proxy-3 calls.
 */
export interface RequestBody {
  /** True when bytes may have left for a backend and are gone here: then the request cannot be sent again. */
  readonly consumed: boolean;
  /** Names the destination; nothing flows yet. */
  pipe(destination: Writable): void;
  /** Lets the body flow, or ends the destination when there is none. */
  open(): void;
}

/** The body that is on its way from the client. Make another one for each attempt. */
export class ClientBody implements RequestBody {
  readonly #request: IncomingMessage;
  readonly #hasBody: boolean;
  #destination: Writable | undefined;
  #isOpen = false;

  constructor(request: IncomingMessage, hasBody: boolean) {
    this.#request = request;
    this.#hasBody = hasBody;
  }

  get consumed(): boolean {
    return this.#isOpen && this.#hasBody;
  }

  pipe(destination: Writable): void {
    this.#destination = destination;
  }

  open(): void {
    if (this.#isOpen || !this.#destination) return;
    this.#isOpen = true;
    if (this.#hasBody) this.#request.pipe(this.#destination);
    else this.#destination.end();
  }
}

/** A body that is in memory: it can be sent as often as need be. */
export class MeasuredBody implements RequestBody {
  readonly consumed = false;
  readonly #bytes: Buffer;
  #destination: Writable | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  pipe(destination: Writable): void {
    this.#destination = destination;
  }

  open(): void {
    this.#destination?.end(this.#bytes);
  }
}
