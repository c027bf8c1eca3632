import { Agent, type ClientRequestArgs, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Backend } from '../backends/backend.ts';
import { ReceivedOctets } from './received-octets.ts';

/**
 * Keep-alive connections, one pool per backend. Last in, first out: what was used a moment ago is the least likely to have
 * been closed by the backend meanwhile.
 */
export class BackendConnections {
  readonly #agents = new Map<Backend, CleanAgent>();
  readonly #received = new WeakMap<Duplex, ReceivedOctets>();

  to(backend: Backend): Agent {
    let agent = this.#agents.get(backend);
    if (!agent) {
      agent = new CleanAgent(this.#received);
      this.#agents.set(backend, agent);
    }
    return agent;
  }

  /** A request is about to be sent on this connection, which is to be used again only if it brings the answer and nothing else. */
  sending(socket: Duplex): void {
    this.#received.get(socket)?.begin();
  }

  /** To be called at once: before anything behind the head is read. */
  answered(answer: IncomingMessage, method: string): void {
    this.#received.get(answer.socket)?.head(answer, method);
  }

  /** Closes what nobody uses right now: one that was closed at the other end is seldom alone. */
  dropIdle(backend: Backend): void {
    const idle = this.#agents.get(backend)?.freeSockets ?? {};
    for (const socket of Object.values(idle).flatMap((sockets) => sockets ?? [])) socket.destroy();
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

/** Keeps a connection only if nothing has come behind the last answer: it would be taken for a part of the next one. */
class CleanAgent extends Agent {
  readonly #received: WeakMap<Duplex, ReceivedOctets>;

  constructor(received: WeakMap<Duplex, ReceivedOctets>) {
    super({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256, keepAliveMsecs: 30_000 });
    this.#received = received;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = super.createConnection(options, callback);
    if (socket) this.#received.set(socket, new ReceivedOctets(socket));
    return socket;
  }

  /** Node destroys what this says no to, whatever the types say. */
  override keepSocketAlive(socket: Duplex): boolean {
    const mayBeKept: unknown = super.keepSocketAlive(socket);
    return this.#received.get(socket)?.isUsedUp() === true && mayBeKept === true;
  }
}
