import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { drop, Pipe, type Trouble } from './pipe.ts';

export type { Trouble } from './pipe.ts';

/** `forward`: from who connects to who is connected to. */
export type Direction = 'forward' | 'backward';

/** Sees the bytes of one connection as each side sent them, before any trouble. */
export interface ConnectionObserver {
  forward(bytes: Buffer): void;
  backward(bytes: Buffer): void;
}

export interface LinkOptions {
  readonly name: string;
  /** Port of 127.0.0.1 that the link listens on. */
  readonly port: number;
  readonly targetPort: number;
  readonly observe?: () => ConnectionObserver;
}

interface Connection {
  readonly client: Socket;
  readonly target: Socket;
  readonly pipes: Readonly<Record<Direction, Pipe>>;
}

const NOTHING: ConnectionObserver = { forward: () => undefined, backward: () => undefined };

/**
 * The network between two processes, on loopback. While nobody listens at its far end, or it is cut, nobody listens
 * at its near end either: whoever connects is refused at once, as without a proxy between.
 */
export class Link {
  readonly name: string;
  readonly port: number;
  readonly #observe: () => ConnectionObserver;
  readonly #connections = new Set<Connection>();
  readonly #trouble: Record<Direction, Trouble> = { forward: 'none', backward: 'none' };
  #targetPort: number;
  #server: Server | undefined;
  #cut = false;
  #targetUp = false;
  /** Openings and closings happen one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor({ name, port, targetPort, observe }: LinkOptions) {
    this.name = name;
    this.port = port;
    this.#targetPort = targetPort;
    this.#observe = observe ?? (() => NOTHING);
  }

  /** Bytes are delayed or kept, in one direction or both. */
  setTrouble(direction: Direction | 'both', trouble: Trouble): void {
    for (const one of direction === 'both' ? (['forward', 'backward'] as const) : [direction]) {
      this.#trouble[one] = trouble;
      for (const { pipes } of this.#connections) pipes[one].trouble = trouble;
    }
  }

  /** Resets every connection and refuses new ones. */
  async cut(): Promise<void> {
    this.#cut = true;
    await this.#listenOrNot();
  }

  async mend(): Promise<void> {
    this.#cut = false;
    this.setTrouble('both', 'none');
    await this.#listenOrNot();
  }

  /** Whether anybody listens at the far end: the installation knows whom it has started and killed. At first nobody does. */
  async setTargetUp(up: boolean): Promise<void> {
    this.#targetUp = up;
    await this.#listenOrNot();
  }

  /** Leads to another server from now on; connections to the former one are reset. */
  switchTo(targetPort: number): void {
    this.#targetPort = targetPort;
    this.#reset();
  }

  async close(): Promise<void> {
    this.#targetUp = false;
    await this.#listenOrNot();
  }

  #listenOrNot(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      const wanted = this.#targetUp && !this.#cut;
      if (wanted && this.#server === undefined) {
        const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
        server.listen(this.port, '127.0.0.1');
        await once(server, 'listening');
        this.#server = server;
      }
      if (!wanted && this.#server !== undefined) {
        const closed = once(this.#server, 'close');
        this.#server.close();
        this.#server = undefined;
        this.#reset();
        await closed;
      }
    });
    return this.#turn;
  }

  #reset(): void {
    for (const { client, target, pipes } of this.#connections) {
      pipes.forward.discard();
      pipes.backward.discard();
      drop(client);
      drop(target);
    }
  }

  #accept(client: Socket): void {
    const target = connect({
      port: this.#targetPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    const observer = this.#observe();
    const { forward, backward } = this.#trouble;
    const connection: Connection = {
      client,
      target,
      pipes: {
        forward: new Pipe(client, target, forward, (bytes) => observer.forward(bytes)),
        backward: new Pipe(target, client, backward, (bytes) => observer.backward(bytes)),
      },
    };
    this.#connections.add(connection);
    for (const socket of [client, target]) {
      // Its `close` follows, and travels to the other side like everything else.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (!client.destroyed || !target.destroyed) return;
        this.#connections.delete(connection);
        connection.pipes.forward.discard();
        connection.pipes.backward.discard();
      });
    }
  }
}
