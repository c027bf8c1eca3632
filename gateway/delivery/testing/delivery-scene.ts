import type { IncomingHttpHeaders } from 'node:http';
import { configSchema } from '../../../config/schema.ts';
import type { StickshiftError } from '../../../protocol/errors.ts';
import { createAffinityCookies } from '../../affinity/affinity-cookie.ts';
import type { Backend } from '../../backends/backend.ts';
import { createBalancer } from '../../balancing/balancer.ts';
import { GatewayCounters } from '../../counters.ts';
import type { BackendReports } from '../../health/backend-reports.ts';
import { holdRules } from '../../hold/hold-rules.ts';
import type { Destination, Destinations } from '../../routing/destinations.ts';
import type { PoolRouting, Route, Router } from '../../routing/router.ts';
import { sessionIdReader } from '../../session-id/session-id-reader.ts';
import { InFlightSessions } from '../../sessions/in-flight-sessions.ts';
import { KnownBindings } from '../../sessions/known-bindings.ts';
import { SessionReference } from '../../sessions/session-reference.ts';
import { recordedLog } from '../../testing/recorded-log.ts';
import { backendOf, testPool } from '../../testing/test-pool.ts';
import { RequestTrace } from '../../tracing/request-trace.ts';
import { Deliveries } from '../deliveries.ts';
import type { Delivery, LaneRequest } from '../delivery.ts';

/** A lane's request that notes what is done with it. */
export class RecordedLane implements LaneRequest {
  readonly done: string[] = [];
  /** What the lane makes of a failure beside noting it. */
  onFail: () => void = () => undefined;

  fail({ code }: StickshiftError): void {
    this.done.push(`fail ${code}`);
    this.onFail();
  }

  closeAfter(): void {
    this.done.push('closeAfter');
  }

  cut(): void {
    this.done.push('cut');
  }
}

/** A pool of two backends whose session cookie is `sid`, with what was compiled from its rules. */
export function testRouting(): { routing: PoolRouting; one: Backend; two: Backend } {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const routing = {
    pool,
    sessionIds: sessionIdReader(pool.config.session),
    affinity: createAffinityCookies({
      keys: [new Uint8Array(32)],
      config: configSchema.parse({ secret: 'x'.repeat(32) }).gateway.affinity,
      pool: 'shop',
      backendIds: ['app-1', 'app-2'],
    }),
    balancer: createBalancer(pool.config.balance),
    holds: holdRules(pool.config),
  };
  return { routing, one: backendOf(pool, 'app-1'), two: backendOf(pool, 'app-2') };
}

/** The route of a request that may go anywhere, with a session or without. */
export function routeOf(routing: PoolRouting, sessionId: string | undefined): Route {
  return {
    routing,
    session: sessionId === undefined ? undefined : new SessionReference(routing.pool, sessionId),
    affinity: undefined,
    bound: undefined,
    boundEpoch: 0,
    stamp: undefined,
    backend: undefined,
  };
}

/** Deliveries whose requests are of session `abc`, or of none; each test says where they go. */
export function deliveryScene({ sessionId, accessLog = false }: { sessionId?: string; accessLog?: boolean }) {
  const { routing, one, two } = testRouting();
  const route = routeOf(routing, sessionId);
  /** What health was told, and of whom. */
  const heard: string[] = [];
  /** Whom each choice had to leave out. */
  const refusals: string[][] = [];
  const known = new KnownBindings();
  const inFlight = new InFlightSessions();
  const counters = new GatewayCounters();
  const log = recordedLog();
  const world = {
    destination: { backend: one, epoch: 0, stamp: undefined, ended: undefined } as Destination,
  };
  const deliveries = new Deliveries({
    router: { route: () => route } as unknown as Router,
    destinations: {
      choose: (_: Route, refused: ReadonlySet<Backend> = new Set()) => {
        refusals.push([...refused].map(({ id }) => id));
        return world.destination;
      },
    } as unknown as Destinations,
    health: {
      succeeded: ({ id }: Backend) => heard.push(`${id} succeeded`),
      connectFailed: ({ id }: Backend) => heard.push(`${id} connectFailed`),
      backendReset: ({ id }: Backend) => heard.push(`${id} backendReset`),
    } as unknown as BackendReports,
    known,
    inFlight,
    counters,
    logger: log.logger,
    accessLog,
  });
  /** A request that has been routed. */
  const begin = (method = 'GET', headers: IncomingHttpHeaders = {}) => {
    const lane = new RecordedLane();
    const delivery: Delivery = deliveries.begin(method, new RequestTrace(method, { method, headers }), lane);
    delivery.begin({ method, target: '/cart', headers }, false);
    return { lane, delivery };
  };
  const to = (backend: Backend, details: Partial<Destination> = {}): Destination => ({
    ...{ backend, epoch: 0, stamp: undefined, ended: undefined },
    ...details,
  });
  return {
    ...{ world, deliveries, begin, to, one, two, route, heard, refusals, known, inFlight, counters, log },
  };
}
