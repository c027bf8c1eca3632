import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import { bindingCookie } from '../affinity/binding-cookie.ts';
import { endWithError } from '../answers/raw-error-answer.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import { checkRequest } from '../forwarding/request-check.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import type { Destinations } from '../routing/destinations.ts';
import type { Router } from '../routing/router.ts';
import type { WebSocketTunnels } from './tunnels.ts';

/** How many backends may refuse the connection before the client is told. */
const MAX_ATTEMPTS = 4;

interface UpgradeHandlerOptions {
  readonly router: Router;
  readonly destinations: Destinations;
  readonly tunnels: WebSocketTunnels;
  readonly headers: RequestHeaders;
  readonly health: HealthMonitor;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
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
    const parent = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = trace.getTracer('stickshift').startSpan('GET websocket', { kind: SpanKind.SERVER }, parent);
    const refuse = (failure: StickshiftError) => {
      counters.countError(failure.code);
      logger.warn({ err: failure, code: failure.code }, 'WebSocket refused');
      span.setStatus({ code: SpanStatusCode.ERROR, message: failure.code });
      endWithError(client, failure);
    };
    context
      .with(trace.setSpan(parent, span), () => this.#serve(request, client, head, refuse))
      .catch((error: unknown) => refuse(asStickshiftError(error)))
      .finally(() => span.end());
  };

  async #serve(
    request: IncomingMessage,
    client: Duplex,
    firstBytes: Buffer,
    refuse: (failure: StickshiftError) => void,
  ): Promise<void> {
    const { router, headers, tunnels, counters } = this.#options;
    const head = checkRequest(request);
    request.url = head.target;
    const route = router.route(head);
    const { backend, epoch, upstream } = await this.#connect(route);
    if (client.destroyed) {
      upstream.destroy();
      return;
    }
    const peer = headers.client(request);
    request.headers = headers.forBackend(request, peer, { upgrade: true });
    const cookie = bindingCookie(route, backend, epoch, route.session?.id, peer.encrypted);
    backend.inFlight += 1;
    client.once('close', () => {
      backend.inFlight -= 1;
    });
    const tunnel = await tunnels.open(
      { request, client, head: firstBytes, backend, cookie, refuse },
      upstream,
    );
    if (tunnel) counters.countResponse(101);
  }

  async #connect(route: ReturnType<Router['route']>) {
    const { destinations, tunnels, health, counters } = this.#options;
    const refused = new Set<Backend>();
    for (let attempt = 0; ; attempt++) {
      const { backend, epoch } = await destinations.choose(route, refused);
      try {
        return { backend, epoch, upstream: await tunnels.connect(backend) };
      } catch (error) {
        const failure = asStickshiftError(error, 'CONNECT_FAILED');
        health.connectFailed(backend, failure);
        counters.retries.connect += 1;
        refused.add(backend);
        if (attempt + 1 >= MAX_ATTEMPTS) throw failure;
      }
    }
  }
}
