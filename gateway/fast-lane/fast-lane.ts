import type { Socket } from 'node:net';
import { ClientConnection } from './client-connection.ts';
import type { LaneParts } from './lane-parts.ts';

/**
 * Serves the requests that are nearly all requests, from socket to socket, without building what nobody looks at. Where a request
 * goes and what becomes of its answer is decided in `delivery/`, as for the full lane; whatever is out of the ordinary is handed
 * over to that one, with all its octets.
 */
export class FastLane {
  readonly #parts: LaneParts;
  readonly #clients = new Set<ClientConnection>();
  readonly #left = (client: ClientConnection): void => {
    this.#clients.delete(client);
  };

  constructor(parts: LaneParts) {
    this.#parts = parts;
    parts.clock.start();
  }

  /** Takes a connection that a server has accepted. */
  accept(socket: Socket): void {
    this.#clients.add(new ClientConnection(socket, this.#parts, this.#left));
  }

  /** Connections on which nothing is under way end now. */
  stop(): void {
    for (const client of this.#clients) client.stop();
  }

  /** Nobody is served any more. */
  close(): void {
    this.#parts.clock.stop();
    this.#parts.backends.close();
  }
}
