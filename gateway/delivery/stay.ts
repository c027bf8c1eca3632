import type { Backend } from '../backends/backend.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { SessionReference } from '../sessions/session-reference.ts';

/** One request's time on a backend: counted there, and its session busy there, until it leaves. */
export class Stay {
  readonly backend: Backend;
  #leaveSession: ((isBroken: boolean) => void) | undefined;
  #endless = false;
  #over = false;

  constructor(backend: Backend, session: SessionReference | undefined, inFlight: InFlightSessions) {
    this.backend = backend;
    backend.inFlight += 1;
    this.#leaveSession = session && inFlight.enter(session.ref, session.id, backend);
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The answer is one that never ends by itself. */
  get endless(): boolean {
    return this.#endless;
  }

  /** From here on the request does not keep its session from being moved. */
  becomeEndless(): void {
    this.#endless = true;
    this.#leaveSession?.(false);
    this.#leaveSession = undefined;
  }

  /** @param isBroken - what it did to its session may have been for nothing */
  leave(isBroken: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.backend.inFlight -= 1;
    this.#leaveSession?.(isBroken);
  }
}
