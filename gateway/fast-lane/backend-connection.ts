import { connect, type Socket } from 'node:net';
import type { Backend } from '../backends/backend.ts';

/** Who uses a connection to a backend at the moment. */
export interface BackendUser {
  connected(): void;
  /** @param piece - good only until this returns: the next read goes into the same memory */
  answerBytes(piece: Buffer): void;
  /** The backend has taken what was written before. */
  backendDrained(): void;
  /** No more bytes will come; after this, only {@link backendClosed}. */
  backendEnded(): void;
  backendClosed(error: Error | undefined): void;
}

const READ_SIZE = 64 * 1024;
/** How long a connection may be silent before the kernel asks whether the other end is there, milliseconds. */
const KEEP_ALIVE_MS = 30_000;

/**
 * The memory that all connections of a lane are read into, one after the other, so that reading allocates nothing. Each has it for its
 * next read already: what is to last longer than the call that brought it has to be copied, and so has what is given to a socket,
 * which may not be rid of it at once.
 */
export function readMemory(): Buffer {
  return Buffer.allocUnsafeSlow(READ_SIZE);
}

/** One connection to a backend: used by one request at a time, idle in between. */
export class BackendConnection {
  readonly backend: Backend;
  readonly socket: Socket;
  /** Has carried a request before: the backend may have closed it meanwhile. */
  isReused = false;
  isConnected = false;
  /** `performance.now()`: the backend has said that it will close the connection, if it is idle, soon after. */
  goodUntil = Number.POSITIVE_INFINITY;
  #user: BackendUser | undefined;
  readonly #onIdleLoss: (connection: BackendConnection) => void;
  #error: Error | undefined;

  /** @param onIdleLoss - called when it goes, or becomes useless, while nobody uses it */
  constructor(
    backend: Backend,
    user: BackendUser,
    memory: Buffer,
    onIdleLoss: (connection: BackendConnection) => void,
  ) {
    this.backend = backend;
    this.#user = user;
    this.#onIdleLoss = onIdleLoss;
    const { hostname, port } = backend.url;
    this.socket = connect({
      // An IPv6 address has brackets in a URL.
      host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
      port: port === '' ? 80 : Number(port),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: {
        buffer: memory,
        callback: (length) => this.#read(memory, length),
      },
    });
    this.socket.on('connect', () => {
      this.isConnected = true;
      this.#user?.connected();
    });
    this.socket.on('drain', () => this.#user?.backendDrained());
    this.socket.on('end', () => this.#ended());
    this.socket.on('error', (error) => {
      this.#error = error;
      // `close` comes later in this turn, and others may look for a connection before it.
      if (!this.#user) this.#onIdleLoss(this);
    });
    this.socket.on('close', () => this.#closed());
  }

  /** Whether another request can be sent on it. */
  get isGood(): boolean {
    return this.socket.writable && this.goodUntil > performance.now();
  }

  /** The next request has it. */
  use(user: BackendUser): void {
    this.#user = user;
    this.isReused = true;
  }

  /** Nobody has it. */
  free(): void {
    this.#user = undefined;
  }

  destroy(): void {
    this.#user = undefined;
    this.socket.destroy();
  }

  #read(memory: Buffer, length: number): boolean {
    const user = this.#user;
    if (user) user.answerBytes(memory.subarray(0, length));
    else if (!this.socket.destroyed) {
      // Nobody asked for anything: it would be taken for the answer to the next request.
      this.#onIdleLoss(this);
      this.socket.destroy();
    }
    return true;
  }

  #ended(): void {
    if (this.#user) this.#user.backendEnded();
    else this.#onIdleLoss(this);
  }

  #closed(): void {
    const user = this.#user;
    this.#user = undefined;
    if (user) user.backendClosed(this.#error);
    else this.#onIdleLoss(this);
  }
}
