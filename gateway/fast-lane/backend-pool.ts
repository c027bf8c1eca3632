import type { Backend } from '../backends/backend.ts';
import { BackendConnection, type BackendUser, readMemory } from './backend-connection.ts';

/** Idle connections kept to one backend. */
const MOST_IDLE = 256;
/** A connection is not used any more so long before its backend closes it: the request would be on its way by then. */
const MARGIN_MS = 1_000;

/**
 * Keep-alive connections of the lane to all backends. Last in, first out: what was used a moment ago is the least likely to have
 * been closed by the backend meanwhile.
 */
export class BackendPool {
  readonly #memory = readMemory();
  readonly #idle = new Map<Backend, BackendConnection[]>();
  readonly #onIdleLoss = (connection: BackendConnection): void => {
    const idle = this.#idle.get(connection.backend);
    const at = idle?.lastIndexOf(connection) ?? -1;
    if (at !== -1) idle?.splice(at, 1);
  };

  take(backend: Backend, user: BackendUser): BackendConnection {
    const idle = this.#idle.get(backend);
    for (let connection = idle?.pop(); connection; connection = idle?.pop()) {
      if (connection.isGood) {
        connection.use(user);
        return connection;
      }
      connection.destroy();
    }
    return new BackendConnection(backend, user, this.#memory, this.#onIdleLoss);
  }

  /**
   * The connection has no more to do with its last request, and can take another.
   *
   * @param keepsForMs - how long its backend has said that it keeps it; `Infinity`: it has not said
   */
  giveBack(connection: BackendConnection, keepsForMs: number): void {
    connection.free();
    connection.goodUntil =
      keepsForMs === Number.POSITIVE_INFINITY ? keepsForMs : performance.now() + keepsForMs - MARGIN_MS;
    // Or nobody would hear that the backend has closed it.
    if (connection.socket.isPaused()) connection.socket.resume();
    let idle = this.#idle.get(connection.backend);
    if (!idle) {
      idle = [];
      this.#idle.set(connection.backend, idle);
    }
    if (idle.length < MOST_IDLE) idle.push(connection);
    else connection.destroy();
  }

  /** Closes what nobody uses right now: one that was closed at the other end is seldom alone. */
  dropIdle(backend: Backend): void {
    const idle = this.#idle.get(backend) ?? [];
    this.#idle.delete(backend);
    for (const connection of idle) connection.destroy();
  }

  close(): void {
    for (const backend of [...this.#idle.keys()]) this.dropIdle(backend);
  }
}
