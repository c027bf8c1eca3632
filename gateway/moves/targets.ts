import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Balancer } from '../balancing/balancer.ts';
import type { PoolRouting } from '../routing/router.ts';
import { serves, servesMeanwhile } from './availability.ts';
import type { Search } from './placement.ts';

/** Chooses backends for sessions that need one. */
export class Targets {
  readonly #routings: ReadonlyMap<Pool, PoolRouting>;

  constructor(routings: ReadonlyMap<Pool, PoolRouting>) {
    this.#routings = routings;
  }

  /** A new owner, another one than `owner` if there is any. With nobody else there, one that is drained is its own successor. */
  newOwner({ session, lost }: Search, owner: Backend | undefined): Backend | undefined {
    const candidates = session.pool.accepting(Date.now()).filter((backend) => !lost.has(backend));
    const others = candidates.filter((backend) => backend !== owner);
    const chosen = this.#balancer(session.pool).pick(others.length > 0 ? others : candidates, {
      sessionKey: session.key,
    });
    return chosen ?? (owner && servesMeanwhile(owner, lost) ? owner : undefined);
  }

  /**
   * For a client without a session: where it is bound already, if that will do.
   *
   * @throws StickshiftError `NO_BACKEND`
   */
  any({ session, hint: { bound }, lost }: Search): Backend {
    if (bound && serves(bound, lost)) return bound;
    const candidates = session.pool.accepting(Date.now()).filter((backend) => !lost.has(backend));
    const backend = this.#balancer(session.pool).pick(candidates, { sessionKey: session.key });
    if (!backend) throw new StickshiftError('NO_BACKEND', 'no backend of the pool accepts clients');
    return backend;
  }

  #balancer(pool: Pool): Balancer {
    const balancer = this.#routings.get(pool)?.balancer;
    if (!balancer) throw new StickshiftError('INTERNAL', `pool ${pool.name} has no balancer`);
    return balancer;
  }
}
