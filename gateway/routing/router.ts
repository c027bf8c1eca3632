import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { Affinity, AffinityCookies } from '../affinity/affinity-cookie.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Balancer } from '../balancing/balancer.ts';
import type { GatewayCounters } from '../counters.ts';
import type { HoldRules } from '../hold/hold-rules.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { SessionIdReader } from '../session-id/session-id-reader.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import type { PoolMatcher } from './pool-matcher.ts';

/** What routing needs to know of a request; no lane's own types. */
export interface RequestHead {
  readonly method: string;
  /** Origin form. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** A pool with what was compiled from its rules. */
export interface PoolRouting {
  readonly pool: Pool;
  readonly sessionIds: SessionIdReader;
  readonly affinity: AffinityCookies;
  readonly balancer: Balancer;
  readonly holds: HoldRules;
}

/** Where a request goes. */
export interface Route {
  readonly routing: PoolRouting;
  readonly session: SessionReference | undefined;
  /** What the client's affinity cookie says, when it is a good one. */
  readonly affinity: Affinity | undefined;
  /** Backend that the client is bound to; not necessarily able to serve it. */
  readonly bound: Backend | undefined;
  readonly boundEpoch: number;
  /** As of when that was right; `undefined` when nobody has confirmed it for this session. */
  readonly stamp: Stamp | undefined;
  /** Set when the request may go at once. Otherwise a mover has to place its session. */
  readonly backend: Backend | undefined;
}

/**
 * Decides from the request head alone: no store, no agent, nothing to wait for. A binding is followed when its backend is up
 * and our lease there vouches for it; anything else is for the mover.
 */
export class Router {
  readonly #matcher: PoolMatcher;
  readonly #routings: ReadonlyMap<Pool, PoolRouting>;
  readonly #known: KnownBindings;
  readonly #counters: GatewayCounters;
  readonly #logger: Logger;

  constructor(options: {
    matcher: PoolMatcher;
    routings: ReadonlyMap<Pool, PoolRouting>;
    known: KnownBindings;
    counters: GatewayCounters;
    logger: Logger;
  }) {
    this.#matcher = options.matcher;
    this.#routings = options.routings;
    this.#known = options.known;
    this.#counters = options.counters;
    this.#logger = options.logger;
  }

  /** @throws StickshiftError `NO_POOL`, `NO_BACKEND` */
  route(head: RequestHead): Route {
    const pool = this.#matcher.match(head.headers.host, head.target);
    const routing = pool && this.#routings.get(pool);
    if (!pool || !routing) throw new StickshiftError('NO_POOL', 'no pool matches host and path');

    const now = Date.now();
    const sessionId = routing.sessionIds.fromRequest(head.target, head.headers);
    const session = sessionId && new SessionReference(pool, sessionId.id);
    const affinity = this.#affinity(routing, head.headers.cookie, now);

    let bound = affinity && pool.backends.get(affinity.backend);
    let boundEpoch = affinity?.epoch ?? 0;
    let stamp: Stamp | undefined;
    let isVouchedFor = !session;
    if (session) {
      const { ref } = session;
      // A binding that was made for another session, or for none, says nothing about where this one is.
      const isIts = affinity && affinity.session === routing.affinity.sessionTag(session.id, affinity);
      if (isIts) stamp = affinity.stamp;
      isVouchedFor = bound?.lease.vouchesFor(stamp, ref) ?? false;
      const known = this.#known.get(ref);
      if (known && isIts && known.epoch < boundEpoch) {
        if (known.isDoubtful) {
          stamp = undefined;
          isVouchedFor = false;
        } else if (isVouchedFor && bound) {
          // What is known here is outdated, and would be believed again when the session comes without this cookie.
          this.#known.set(ref, { backend: bound, epoch: boundEpoch, stamp });
        }
      } else if (known) {
        const isSame = known.backend === bound && known.epoch === boundEpoch;
        // Of two stamps of one binding the cookie's may be the good one: another gateway has had it confirmed since.
        if (!isSame || !isVouchedFor || known.isDoubtful) {
          // In one epoch a session has one owner: if they differ, one is wrong, or the session has no record.
          const isContradicted = isIts && !isSame && known.epoch === boundEpoch;
          if (known.backend) {
            bound = known.backend;
            boundEpoch = known.epoch;
          }
          stamp = isContradicted ? undefined : known.stamp;
          isVouchedFor = bound?.lease.vouchesFor(stamp, ref) ?? false;
        }
      }
    }

    let backend: Backend | undefined;
    if (bound?.adminState === 'ready' && bound.isUp(now) && isVouchedFor) {
      this.#counters.routed.bound += 1;
      backend = bound;
    } else if (session) {
      this.#counters.routed.placed += 1;
    } else {
      this.#counters.routed.balanced += 1;
      backend = this.balance(routing);
    }
    return { routing, session, affinity, bound, boundEpoch, stamp, backend };
  }

  /**
   * A backend for a request without a session.
   *
   * @throws StickshiftError `NO_BACKEND`
   */
  balance(routing: PoolRouting, exclude?: ReadonlySet<Backend>): Backend {
    const candidates = routing.pool.accepting(Date.now()).filter((backend) => !exclude?.has(backend));
    const backend = routing.balancer.pick(candidates, {});
    if (!backend)
      throw new StickshiftError('NO_BACKEND', `no backend of pool ${routing.pool.name} accepts clients`);
    return backend;
  }

  #affinity(routing: PoolRouting, cookieHeader: string | undefined, now: number): Affinity | undefined {
    if (cookieHeader === undefined) return undefined;
    const found = routing.affinity.fromCookieHeader(cookieHeader, now);
    if (!found) return undefined;
    if (found.ok) return found.affinity;
    const { reason } = found;
    this.#counters.affinityRefused[reason] = (this.#counters.affinityRefused[reason] ?? 0) + 1;
    // To run out is the fate of every cookie; anything else is somebody's mistake or an attempt.
    const level = reason === 'expired' || reason === 'idle' ? 'debug' : 'info';
    this.#logger[level]({ pool: routing.pool.name, reason }, 'affinity cookie refused');
    return undefined;
  }
}
