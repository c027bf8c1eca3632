import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { errorAnswer } from '../answers/error-answer.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import { checkRequest } from '../forwarding/request-check.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import type { Destinations } from '../routing/destinations.ts';
import { type EndedSession, hideEndedSession } from '../routing/ended-session.ts';
import type { Router } from '../routing/router.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import type { AnswerRelay } from './answer-relay.ts';
import type { AttemptSender } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { measureBody, needsMeasuredBody } from './measure-body.ts';
import { ClientBody, MeasuredBody } from './request-body.ts';
import { Stay } from './stay.ts';

/** How often a request is sent to backends that do not take it. */
const MAX_ATTEMPTS = 4;

interface FullLaneOptions {
  readonly router: Router;
  readonly destinations: Destinations;
  readonly sender: AttemptSender;
  readonly relay: AnswerRelay;
  readonly health: HealthMonitor;
  readonly known: KnownBindings;
  readonly inFlight: InFlightSessions;
  readonly headers: RequestHeaders;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  readonly accessLog: boolean;
  /** Longest pause while a request body arrives, milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Largest body that is read ahead where a backend must be told its length, bytes. */
  readonly measuredBodyLimit: number;
}

/** A request that has no answer yet, or whose answer is on its way. */
interface Active {
  readonly trace: RequestTrace;
  /** Where it is now, once it was sent somewhere. */
  stay: Stay | undefined;
}

/**
 * Serves requests through `http.Server` and http-proxy-3: everything that HTTP/1 allows, correct first. It asks the router where
 * a request goes, has its session placed when the router cannot tell, and sends it until a backend takes it.
 */
export class FullLane {
  readonly #options: FullLaneOptions;
  readonly #active = new Map<ServerResponse, Active>();
  /** The last request of each connection. */
  readonly #latest = new WeakMap<Socket, ServerResponse>();
  /** Connections that end with the answer under way: the parser may already hold requests behind it. */
  readonly #closing = new WeakSet<Socket>();
  #stopping = false;

  constructor(options: FullLaneOptions) {
    this.#options = options;
  }

  /**
   * The `request` listener of an HTTP server. Node hands over pipelined requests all at once; they are served one after the
   * other, because a later one may count on what an earlier one did (RFC 9112, 9.3.2).
   */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const earlier = this.#latest.get(socket);
    this.#latest.set(socket, response);
    if (!earlier || earlier.writableFinished || earlier.destroyed) this.#begin(request, response);
    else earlier.once('close', () => this.#begin(request, response));
  };

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { logger, accessLog } = this.#options;
    if (this.#closing.has(request.socket) || request.socket.destroyed) return;
    const started = performance.now();
    if (this.#stopping) response.shouldKeepAlive = false;
    const trace = new RequestTrace(request.method ?? 'HTTP', request);
    const active: Active = { trace, stay: undefined };
    this.#active.set(response, active);
    response.once('close', () => {
      active.stay?.leave();
      this.#active.delete(response);
      this.#options.sender.finish(request, response.writableFinished);
      if (!response.writableFinished) this.#options.counters.clientAborts += 1;
      if (!response.headersSent) trace.failed('CLIENT_ABORTED');
      trace.end(response.headersSent ? response.statusCode : undefined);
      if (!accessLog) return;
      const { method } = request;
      const { statusCode: status, writableFinished: complete } = response;
      const tookMs = Math.round(performance.now() - started);
      trace.run(() => logger.info({ method, status, tookMs, complete }, 'request'));
    });
    trace.run(() =>
      this.#serve(request, response, active).catch((error: unknown) => {
        this.#fail(response, asStickshiftError(error), trace);
      }),
    );
  }

  /** Gives up a request whose body did not parse. */
  refuse(response: ServerResponse, failure: StickshiftError): void {
    this.#fail(response, failure, this.#active.get(response)?.trace);
  }

  /** Ends what is under way on a backend whose drain is over. Requests that had no answer yet get a 502. */
  closeTo(backend: Backend): void {
    for (const [response, { stay, trace }] of this.#active) {
      if (stay?.backend !== backend) continue;
      this.#fail(response, new StickshiftError('BACKEND_RESET', 'the drain deadline has passed'), trace);
    }
  }

  /** No request after those under way on each connection; answers that would never end by themselves end now. */
  stop(): void {
    this.#stopping = true;
    for (const [response, { stay }] of this.#active) {
      response.shouldKeepAlive = false;
      if (stay?.endless) response.destroy();
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse, active: Active): Promise<void> {
    const { router, headers, measuredBodyLimit } = this.#options;
    const head = checkRequest(request);
    request.url = head.target;
    const client = headers.client(request);
    const chunked = request.headers['transfer-encoding'] !== undefined;
    const hasBody = chunked || Number(request.headers['content-length'] ?? 0) > 0;
    const forwarded = headers.forBackend(request, client);
    let measured: Buffer | undefined;
    if (needsMeasuredBody(request)) {
      measured = await measureBody(request, measuredBodyLimit);
      forwarded['content-length'] = String(measured.length);
    } else if (chunked) {
      forwarded['transfer-encoding'] = 'chunked';
    }
    if (hasBody && !measured) this.#watchBody(request, response, active.trace);
    // As late as can be: what came before may have taken its time, and the session may have moved meanwhile.
    const route = router.route(head);
    active.trace.routed(route);
    const exchange: Exchange = {
      request,
      response,
      route,
      forwarded,
      encrypted: client.encrypted,
      trace: active.trace,
      body: () => (measured ? new MeasuredBody(measured) : new ClientBody(request, hasBody)),
    };
    await this.#sendUntilTaken(exchange, active);
  }

  async #sendUntilTaken(exchange: Exchange, active: Active): Promise<void> {
    const { destinations, sender, relay, health, known, inFlight, counters } = this.#options;
    const { request, response, forwarded, trace } = exchange;
    let { route } = exchange;
    const refused = new Set<Backend>();
    let ended: EndedSession | undefined;
    for (let attempt = 0; ; attempt++) {
      const destination = await destinations.choose(route, refused);
      const { backend, epoch, stamp } = destination;
      if (response.destroyed) return;
      if (destination.ended) {
        ended = destination.ended;
        route = hideEndedSession(route, forwarded);
      }
      const stay = new Stay(backend, route.session, inFlight);
      const incarnation = backend.incarnation || undefined;
      active.stay = stay;
      const attemptTrace = trace.attempt(request.method ?? 'HTTP', backend, attempt, forwarded);
      request.headers = forwarded;
      const outcome = await sender.send(request, response, backend, exchange.body());
      if (outcome.kind === 'answered') attemptTrace?.answered(outcome.answer.statusCode ?? 0);
      else attemptTrace?.failed('error' in outcome ? outcome.error.code : outcome.kind);
      switch (outcome.kind) {
        case 'answered':
          health.succeeded(backend);
          return relay.relay(
            { ...exchange, route, backend, incarnation, epoch, stamp, ended },
            outcome.request,
            outcome.answer,
            () => stay.becomeEndless(),
          );
        case 'client-gone':
          return;
        case 'not-connected':
          stay.leave();
          health.connectFailed(backend, outcome.error);
          refused.add(backend);
          counters.retries.connect += 1;
          break;
        case 'stale':
          stay.leave();
          counters.retries.reset += 1;
          break;
        case 'failed':
          if (outcome.error.source === 'backend') health.backendReset(backend);
          // It may have died between taking the session from its disk and writing it there under another ID.
          if (route.session) known.doubt(route.session.ref);
          throw outcome.error;
      }
      if (attempt + 1 >= MAX_ATTEMPTS) {
        throw outcome.kind === 'not-connected'
          ? outcome.error
          : new StickshiftError('BACKEND_RESET', 'one pooled connection after another had been closed');
      }
    }
  }

  /** A body that pauses for too long is the client's fault, and holds a backend's connection all the while. */
  #watchBody(request: IncomingMessage, response: ServerResponse, trace: RequestTrace): void {
    const late = () => {
      // Paused by us: the backend is slow to take it, not the client to send it.
      if (request.isPaused()) return;
      const failure = new StickshiftError('REQUEST_TIMEOUT', 'the request body paused for too long');
      this.#fail(response, failure, trace);
    };
    request.setTimeout(this.#options.bodyTimeoutMs, late);
    request.once('end', () => {
      request.off('timeout', late);
      request.socket.setTimeout(0);
    });
  }

  #fail(response: ServerResponse, failure: StickshiftError, trace: RequestTrace | undefined): void {
    const { counters, logger, sender } = this.#options;
    const request = response.req;
    // What has been answered stays answered: this is the echo of a failure that was told already.
    if (response.writableEnded) return;
    sender.finish(request, false);
    counters.countError(failure.code);
    trace?.failed(failure.code);
    const requestId = trace?.id ?? randomBytes(8).toString('hex');
    const log = () =>
      logger.warn({ err: failure, code: failure.code, requestId, method: request.method }, 'request failed');
    if (trace) trace.run(log);
    else log();
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { status, headers, body } = errorAnswer(failure, { accept: request.headers.accept, requestId });
    counters.countResponse(status);
    // Whatever is left of the request's body is not worth waiting for, and a head that was refused may be followed by what was
    // meant to be read as another request.
    if (!request.complete || status === 400) {
      response.shouldKeepAlive = false;
      this.#closing.add(request.socket);
    }
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}
