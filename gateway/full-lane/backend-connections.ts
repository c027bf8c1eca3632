import { Agent } from 'node:http';
import type { Backend } from '../backends/backend.ts';

/**
 * Keep-alive connections, one pool per backend. Last in, first out: what was used a moment ago is the least likely to have
 * been closed by the backend meanwhile.
 */
export class BackendConnections {
  readonly #agents = new Map<Backend, Agent>();

  to(backend: Backend): Agent {
    let agent = this.#agents.get(backend);
    if (!agent) {
      agent = new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256, keepAliveMsecs: 30_000 });
      this.#agents.set(backend, agent);
    }
    return agent;
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
