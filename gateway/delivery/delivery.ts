import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import { type ErrorAnswer, errorAnswer } from '../answers/error-answer.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { Destination, Destinations } from '../routing/destinations.ts';
import { type EndedSession, hideEndedSession } from '../routing/ended-session.ts';
import type { RequestHead, Route, Router } from '../routing/router.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import type { AttemptTrace, RequestTrace } from '../tracing/request-trace.ts';
import type { AnsweredExchange } from './exchange.ts';
import { Stay } from './stay.ts';

/** How often a request is sent to backends that do not take it. */
const MAX_ATTEMPTS = 4;

// RFC 9110, 9.2.2
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** How an attempt ended that brought no answer. */
export type Miss =
  /** Nothing of the request reached the backend: any other one may have it. */
  | { readonly kind: 'not-connected'; readonly error: StickshiftError }
  /** A pooled connection had been closed meanwhile and the request is safe to repeat: the same backend may have it again. */
  | { readonly kind: 'stale' }
  /** The request may have run. */
  | { readonly kind: 'failed'; readonly error: StickshiftError };

/** What a lane lets be done with a request of its. */
export interface LaneRequest {
  /** Gives it up: with an error answer, or by breaking off the one that is on its way. */
  fail(failure: StickshiftError): void;
  /** Its connection ends with its answer. */
  closeAfter(): void;
  /** It ends at once. */
  cut(): void;
}

export interface DeliveryParts {
  readonly router: Router;
  readonly destinations: Destinations;
  readonly health: BackendReports;
  readonly known: KnownBindings;
  readonly inFlight: InFlightSessions;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  readonly accessLog: boolean;
}

/**
 * One request on its way to a backend that takes it: where it goes, what is counted and logged of it, and when it may be sent again.
 * Knows no lane. A lane calls {@link route}, then {@link next} and {@link depart} for each attempt; tells what came of that by
 * {@link answered} or {@link missed}; and calls {@link end} once, whatever happened.
 */
export class Delivery implements AnsweredExchange {
  readonly method: string;
  readonly trace: RequestTrace;
  readonly lane: LaneRequest;
  target = '';
  encrypted = false;
  ended: EndedSession | undefined;
  epoch = 0;
  stamp: Stamp | undefined;
  incarnation: string | undefined;
  readonly #parts: DeliveryParts;
  readonly #started = performance.now();
  #route: Route | undefined;
  #stay: Stay | undefined;
  #refused: Set<Backend> | undefined;
  #attempts = 0;
  /** Something went wrong with it, be it that its answer was withheld. */
  #hasFailed = false;
  #attemptTrace: AttemptTrace | undefined;

  constructor(parts: DeliveryParts, method: string, trace: RequestTrace, lane: LaneRequest) {
    this.#parts = parts;
    this.method = method;
    this.trace = trace;
    this.lane = lane;
  }

  /** @throws StickshiftError `NO_POOL`, `NO_BACKEND` */
  begin(head: RequestHead, encrypted: boolean): void {
    this.target = head.target;
    this.encrypted = encrypted;
    this.#route = this.#parts.router.route(head);
    this.trace.routed(this.#route);
  }

  get route(): Route {
    if (!this.#route) throw new StickshiftError('INTERNAL', 'the request has not been routed');
    return this.#route;
  }

  /** Where it is, or was sent last. */
  get backend(): Backend {
    if (!this.#stay) throw new StickshiftError('INTERNAL', 'the request has not been sent');
    return this.#stay.backend;
  }

  /** Whether it is at that backend now, or its answer is on its way from there. */
  isAt(backend: Backend): boolean {
    return this.#stay?.backend === backend && !this.#stay.isOver;
  }

  /** Its answer may never end by itself. */
  get isEndless(): boolean {
    return this.#stay?.endless ?? false;
  }

  /**
   * Where to send it. A promise only when its session has to be placed.
   *
   * @throws StickshiftError `NO_BACKEND`, or rejects with what placing throws
   */
  next(): Destination | Promise<Destination> {
    return this.#parts.destinations.choose(this.route, this.#refused);
  }

  /**
   * It is sent there now.
   *
   * @param forwarded - headers for the backend; the ID of a session that has ended is taken off, and trace context is put in
   */
  depart(destination: Destination, forwarded: IncomingHttpHeaders): void {
    const { backend, epoch, stamp, ended } = destination;
    if (ended) this.ended = ended;
    // At each attempt: a lane may make the headers anew.
    if (this.ended) this.#route = hideEndedSession(this.route, forwarded);
    this.epoch = epoch;
    this.stamp = stamp;
    this.incarnation = backend.incarnation || undefined;
    this.#stay = new Stay(backend, this.route.session, this.#parts.inFlight);
    this.#attemptTrace = this.trace.attempt(this.method, backend, this.#attempts, forwarded);
    this.#attempts += 1;
  }

  answered(status: number): void {
    this.#attemptTrace?.answered(status);
    this.#attemptTrace = undefined;
    this.#parts.health.succeeded(this.backend);
  }

  /**
   * Whether an attempt whose connection broke before any answer may be made again at the same backend.
   *
   * @param reused - the connection had carried a request before, so the backend may have closed it meanwhile
   * @param bodyLeft - bytes of the request's body may have left, and are gone here
   */
  mayRepeat(reused: boolean, bodyLeft: boolean): boolean {
    return reused && !bodyLeft && IDEMPOTENT.has(this.method);
  }

  /** @throws StickshiftError when it is not to be sent again; otherwise {@link next} says where */
  missed(miss: Miss): void {
    const { health, known, counters } = this.#parts;
    const { backend } = this;
    this.#attemptTrace?.failed('error' in miss ? miss.error.code : miss.kind);
    this.#attemptTrace = undefined;
    switch (miss.kind) {
      case 'not-connected':
        this.#stay?.leave(false);
        health.connectFailed(backend, miss.error);
        this.#refused ??= new Set();
        this.#refused.add(backend);
        counters.retries.connect += 1;
        break;
      case 'stale':
        // The backend may have died over it.
        this.#stay?.leave(true);
        counters.retries.reset += 1;
        break;
      case 'failed':
        if (miss.error.source === 'backend') health.backendReset(backend);
        // It may have died between taking the session from its disk and writing it there under another ID.
        if (this.route.session) known.doubt(this.route.session.ref);
        throw miss.error;
    }
    if (this.#attempts < MAX_ATTEMPTS) return;
    throw miss.kind === 'not-connected'
      ? miss.error
      : new StickshiftError('BACKEND_RESET', 'one pooled connection after another had been closed');
  }

  /** The backend has broken off within an answer of which something is with the client. */
  brokenOff(): void {
    const { counters, logger } = this.#parts;
    this.#hasFailed = true;
    counters.countError('BACKEND_RESET');
    this.trace.run(() => logger.warn({ backend: this.backend.id }, 'backend broke off within its answer'));
  }

  becomeEndless(): void {
    this.#stay?.becomeEndless();
  }

  /** Counts and logs a failure; returns what to tell the client, if nothing of an answer has been sent. */
  failed(failure: StickshiftError, accept: string | undefined): ErrorAnswer {
    const { counters, logger } = this.#parts;
    this.#hasFailed = true;
    counters.countError(failure.code);
    this.trace.failed(failure.code);
    const requestId = this.trace.id ?? randomBytes(8).toString('hex');
    const answer = errorAnswer(failure, { accept, requestId });
    const facts = {
      ...{ err: failure, code: failure.code, requestId, method: this.method, status: answer.status },
      pool: this.#route?.routing.pool.name,
      backend: this.#stay?.backend.id,
      [ATTRIBUTE.sessionKey]: this.#route?.session?.key,
      tookMs: Math.round(performance.now() - this.#started),
    };
    // Without its path, which may hold a session ID.
    this.trace.run(() => logger.warn(facts, 'request failed'));
    return answer;
  }

  /**
   * It is over.
   *
   * @param status - that the client got; `undefined` when it got none
   * @param complete - the whole answer is with the client's connection
   */
  end(status: number | undefined, complete: boolean): void {
    const { counters, logger, accessLog } = this.#parts;
    // Of a process that has died, web servers in front of the app say 502, 503 or 500.
    const isError = status === undefined || status >= 500;
    const isBroken = this.#hasFailed || !complete || isError;
    this.#stay?.leave(isBroken);
    this.#attemptTrace?.failed('client-gone');
    if (!complete) counters.clientAborts += 1;
    if (status === undefined) this.trace.failed('CLIENT_ABORTED');
    this.trace.end(status);
    if (!accessLog) return;
    const { method } = this;
    const tookMs = Math.round(performance.now() - this.#started);
    this.trace.run(() => logger.info({ method, status, tookMs, complete }, 'request'));
  }
}
