import type { Backend } from '../backends/backend.ts';
import { BackendConnection, type BackendUser, ReadBuffer } from './backend-connection.ts';

/** Idle connections kept to one backend. */
const MOST_IDLE = 256;

/**
 * Keep-alive connections of the lane to all backends. Last in, first out: what was used a moment ago is the least likely to have
 * been closed by the backend meanwhile.
 */
export class BackendPool {
  readonly memory = new ReadBuffer();
  readonly #idle = new Map<Backend, BackendConnection[]>();
  readonly #onIdleLoss = (connection: BackendConnection): void => {
    const idle = this.#idle.get(connection.backend);
    const at = idle?.lastIndexOf(connection) ?? -1;
    if (at !== -1) idle?.splice(at, 1);
  };

  take(backend: Backend, user: BackendUser): BackendConnection {
    const connection = this.#idle.get(backend)?.pop();
    if (!connection) return new BackendConnection(backend, user, this.memory, this.#onIdleLoss);
    connection.use(user);
    return connection;
  }

  /** The connection has no more to do with its last request, and can take another. */
  giveBack(connection: BackendConnection): void {
    connection.free();
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
