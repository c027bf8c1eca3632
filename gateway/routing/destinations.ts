import type { Backend } from '../backends/backend.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { Mover } from '../moves/mover.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import type { EndedSession } from './ended-session.ts';
import type { Route, Router } from './router.ts';

/** Where a request is sent, and the epoch of its session there (0: no record). */
export interface Destination {
  readonly backend: Backend;
  readonly epoch: number;
  /** As of when its session belonged there, taken before the request is sent. */
  readonly stamp: Stamp | undefined;
  /** Set when the session was logged out: the app must not see its ID again. */
  readonly ended: EndedSession | undefined;
}

const NONE: ReadonlySet<Backend> = new Set();

/** Finds a backend for a request, and another one when that refuses the connection. */
export class Destinations {
  readonly #router: Router;
  readonly #mover: Mover;

  constructor(options: { router: Router; mover: Mover }) {
    this.#router = options.router;
    this.#mover = options.mover;
  }

  /**
   * @param refused - backends that did not take this request's connection
   * @returns a promise only where the session has to be placed
   * @throws StickshiftError `NO_BACKEND`; rejects with what {@link Mover.place} throws
   */
  choose(route: Route, refused?: ReadonlySet<Backend>): Destination | Promise<Destination> {
    if (route.backend && !refused?.has(route.backend)) {
      const { backend, boundEpoch: epoch } = route;
      // Without a session yet: the answer may begin one.
      const stamp = route.session ? route.stamp : backend.lease.stamp();
      return { backend, epoch, stamp, ended: undefined };
    }
    if (!route.session) {
      const backend = this.#router.balance(route.routing, refused);
      return { backend, epoch: 0, stamp: backend.lease.stamp(), ended: undefined };
    }
    return this.#place(route, route.session, refused);
  }

  async #place(
    { bound, boundEpoch }: Route,
    session: SessionReference,
    exclude: ReadonlySet<Backend> = NONE,
  ): Promise<Destination> {
    const { backend, epoch, stamp, outcome } = await this.#mover.place(session, {
      bound,
      boundEpoch,
      exclude,
    });
    if (outcome === 'ended') return { backend, epoch: 0, stamp, ended: { session, epoch } };
    return { backend, epoch, stamp, ended: undefined };
  }
}
