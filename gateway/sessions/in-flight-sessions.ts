import type { Backend } from '../backends/backend.ts';
import { BrokenRequests } from './broken-requests.ts';

interface Flight {
  backend: Backend;
  sessionId: string;
  count: number;
  /** Somebody has waited for it in vain, and counts on it no longer. */
  overdue: boolean;
  /** Resolved when count falls to 0. */
  waiting: (() => void)[];
}

/**
 * Which sessions have a request under way, and where: a session is released only when none of its requests could still
 * change it. Event streams and WebSockets do not count, they would never let it go.
 */
export class InFlightSessions {
  readonly #flights = new Map<string, Flight>();
  readonly #broken = new BrokenRequests();

  /**
   * Counts a request in; call what it returns, once, when it has ended: with true when it broke off, or had its answer withheld, so
   * that what it did to the session may have been for nothing.
   */
  enter(ref: string, sessionId: string, backend: Backend): (isBroken: boolean) => void {
    let flight = this.#flights.get(ref);
    if (!flight) {
      flight = { backend, sessionId, count: 0, overdue: false, waiting: [] };
      this.#flights.set(ref, flight);
    }
    // After a move, requests that are still on the old backend no longer hold anything up: it was released without them.
    flight.backend = backend;
    flight.overdue = false;
    flight.count += 1;
    const entered = flight;
    let left = false;
    return (isBroken) => {
      if (left) return;
      left = true;
      if (isBroken) this.#broken.add(ref);
      entered.count -= 1;
      if (entered.count > 0) return;
      this.#flights.delete(ref);
      for (const resume of entered.waiting) resume();
    };
  }

  /** Whether a request of the session may have broken off lately, or may still. */
  mayBreak(ref: string): boolean {
    return this.has(ref) || this.#broken.mayInclude(ref);
  }

  /** Whether a request of the session is under way. */
  has(ref: string): boolean {
    return this.#flights.has(ref);
  }

  /**
   * Resolves when no request of the session is under way, or after `timeoutMs`. Those that were waited for in vain once are not
   * waited for again: a release that waited here itself is followed by the agent's recall, which asks for the same.
   */
  async idle(ref: string, timeoutMs: number): Promise<void> {
    const flight = this.#flights.get(ref);
    if (!flight || flight.overdue) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        flight.overdue = true;
        resolve();
      }, timeoutMs);
      flight.waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Resolves when no request of the session is under way, however long that takes. */
  async ended(ref: string): Promise<void> {
    const flight = this.#flights.get(ref);
    if (flight) await new Promise<void>((resolve) => flight.waiting.push(resolve));
  }

  /** IDs of the sessions that have a request under way on the backend. */
  *on(backend: Backend): Iterable<string> {
    for (const flight of this.#flights.values()) {
      if (flight.backend === backend) yield flight.sessionId;
    }
  }
}
