import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import { bindingAfter, bindingCookie } from '../affinity/binding-cookie.ts';
import { endWithError } from '../answers/raw-error-answer.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import { checkRequest } from '../forwarding/request-check.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { AnswerCheck } from '../leases/answer-check.ts';
import type { Destination, Destinations } from '../routing/destinations.ts';
import { type EndedSession, hideEndedSession } from '../routing/ended-session.ts';
import type { Route, Router } from '../routing/router.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import type { WebSocketTunnels } from './tunnels.ts';

/** How many backends may refuse the connection before the client is told. */
const MAX_ATTEMPTS = 4;

interface UpgradeHandlerOptions {
  readonly router: Router;
  readonly destinations: Destinations;
  readonly check: AnswerCheck;
  readonly tunnels: WebSocketTunnels;
  readonly headers: RequestHeaders;
  readonly health: BackendReports;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
}

/** A handshake, and how to tell its client that it got no tunnel. */
interface Upgrade {
  readonly request: IncomingMessage;
  readonly client: Duplex;
  /** Bytes behind the request head. */
  readonly head: Buffer;
  readonly refuse: (failure: StickshiftError) => void;
  readonly trace: RequestTrace;
}

/** True for the one upgrade that is served; any other `Upgrade` header is ignored, as RFC 9110, 7.8 allows. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Routes WebSocket handshakes like any other request of their session. */
export class UpgradeHandler {
  readonly #options: UpgradeHandlerOptions;

  constructor(options: UpgradeHandlerOptions) {
    this.#options = options;
  }

  /** The `upgrade` listener of an HTTP server. */
  readonly handle = (request: IncomingMessage, client: Duplex, head: Buffer): void => {
    const { counters, logger } = this.#options;
    // A reset between here and the tunnel has no other listener and would end the process.
    client.on('error', () => client.destroy());
    const trace = new RequestTrace('GET websocket', request);
    let status: number | undefined;
    const refuse = (failure: StickshiftError) => {
      counters.countError(failure.code);
      trace.run(() => logger.warn({ err: failure, code: failure.code }, 'WebSocket refused'));
      trace.failed(failure.code);
      status = failure.status;
      endWithError(client, failure);
    };
    trace
      .run(() => this.#serve({ request, client, head, refuse, trace }))
      .then((isOpen) => {
        if (isOpen) status = 101;
      })
      .catch((error: unknown) => refuse(asStickshiftError(error)))
      .finally(() => trace.end(status));
  };

  /** True when the tunnel is open; false when the client has been told otherwise, or is gone. */
  async #serve(upgrade: Upgrade): Promise<boolean> {
    const { router, headers, tunnels, counters } = this.#options;
    const { request, client, head, refuse, trace } = upgrade;
    const checked = checkRequest(request);
    request.url = checked.target;
    const asked = router.route(checked);
    trace.routed(asked);
    const peer = headers.client(request);
    const forwarded = headers.forBackend(request, peer, { upgrade: true });
    const { route, sent, upstream, attempt } = await this.#connect(asked, trace, forwarded);
    const { backend } = sent;
    if (client.destroyed) {
      upstream.destroy();
      attempt?.failed('client-gone');
      return false;
    }
    request.headers = forwarded;
    const cookie = bindingCookie(route, bindingAfter(sent, route.session), peer.encrypted);
    backend.inFlight += 1;
    client.once('close', () => {
      backend.inFlight -= 1;
    });
    const isOutdated = () => this.#hasMoved(route, sent);
    const handshake = { request, client, head, backend, cookie, refuse, isOutdated };
    const tunnel = await tunnels.open(handshake, upstream);
    if (!tunnel) {
      attempt?.failed('not-upgraded');
      return false;
    }
    attempt?.answered(101);
    counters.countResponse(101);
    return true;
  }

  /** Asked when the app has accepted: from then on nobody looks at the session again. */
  #hasMoved({ session }: Route, { backend, epoch, stamp, ended }: Destination): boolean {
    return session !== undefined && !ended && this.#options.check.isDue({ backend, session, epoch, stamp });
  }

  async #connect(asked: Route, trace: RequestTrace, forwarded: IncomingHttpHeaders) {
    const { destinations, tunnels, health, counters } = this.#options;
    const refused = new Set<Backend>();
    let route = asked;
    let ended: EndedSession | undefined;
    for (let resends = 0; ; resends++) {
      const destination = await destinations.choose(route, refused);
      const { backend } = destination;
      if (destination.ended) {
        ended = destination.ended;
        route = hideEndedSession(route, forwarded);
      }
      const attempt = trace.attempt('GET', backend, resends, forwarded);
      try {
        const sent: Destination = { ...destination, ended };
        return { route, sent, attempt, upstream: await tunnels.connect(backend) };
      } catch (error) {
        const failure = asStickshiftError(error, 'CONNECT_FAILED');
        attempt?.failed(failure.code);
        health.connectFailed(backend, failure);
        counters.retries.connect += 1;
        refused.add(backend);
        if (resends + 1 >= MAX_ATTEMPTS) throw failure;
      }
    }
  }
}
