import type { Backend } from '../backends/backend.ts';
import type { Mover } from '../moves/mover.ts';
import type { Route, Router } from './router.ts';

/** Where a request is sent, and the epoch of its session there (0: no record). */
export interface Destination {
  readonly backend: Backend;
  readonly epoch: number;
  /** The session was logged out: the app must not see its ID again. */
  readonly ended: boolean;
}

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
   * @throws StickshiftError `NO_BACKEND` and what {@link Mover.place} throws
   */
  async choose(route: Route, refused: ReadonlySet<Backend>): Promise<Destination> {
    if (route.backend && !refused.has(route.backend))
      return { backend: route.backend, epoch: route.boundEpoch, ended: false };
    if (!route.session)
      return { backend: this.#router.balance(route.routing, refused), epoch: 0, ended: false };
    const { backend, epoch, outcome } = await this.#mover.place(route.session, {
      bound: route.bound,
      boundEpoch: route.boundEpoch,
      exclude: refused,
    });
    return { backend, epoch, ended: outcome === 'ended' };
  }
}
