import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { GatewayCounters } from '../counters.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { type CheckedHead, checkRequest } from '../forwarding/request-check.ts';
import type { RequestHeaders } from '../forwarding/request-headers.ts';
import { answerFlaw } from '../forwarding/response-check.ts';
import { RequestTrace } from '../tracing/request-trace.ts';
import type { AnswerRelay } from './answer-relay.ts';
import type { AttemptSender } from './attempt.ts';
import type { FullLaneExchange } from './exchange.ts';
import { measureBody, needsMeasuredBody } from './measure-body.ts';
import { ClientBody, MeasuredBody } from './request-body.ts';

/** Requests of a connection that wait for the one before; with more, no more are read. One read may bring some hundred. */
const MOST_WAITING = 16;

interface FullLaneOptions {
  readonly deliveries: Deliveries;
  readonly sender: AttemptSender;
  readonly relay: AnswerRelay;
  readonly headers: RequestHeaders;
  readonly counters: GatewayCounters;
  /** Longest pause while a request body arrives, milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Largest body that is read ahead where a backend must be told its length, bytes. */
  readonly measuredBodyLimit: number;
}

/**
 * Serves requests through `http.Server` and http-proxy-3: everything that HTTP/1 allows, correct first. Where a request goes and what
 * becomes of its answer is decided in `delivery/`.
 */
export class FullLane {
  readonly #options: FullLaneOptions;
  readonly #active = new Map<ServerResponse, Delivery>();
  /** The last request of each connection. */
  readonly #latest = new WeakMap<Socket, ServerResponse>();
  /** How many requests have been read ahead of each connection. */
  readonly #waiting = new WeakMap<Socket, number>();
  /** Connections that end with the answer under way: the parser may already hold requests behind it. */
  readonly #closing = new WeakSet<Socket>();

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
    if (!earlier || earlier.writableFinished || earlier.destroyed) {
      this.#begin(request, response);
      return;
    }
    this.#countWaiting(socket, 1);
    earlier.once('close', () => {
      this.#countWaiting(socket, -1);
      this.#begin(request, response);
    });
  };

  /** Node stops reading for answers that nobody takes, but not for requests that nobody has begun. */
  #countWaiting(socket: Socket, change: 1 | -1): void {
    const waiting = (this.#waiting.get(socket) ?? 0) + change;
    this.#waiting.set(socket, waiting);
    if (waiting > MOST_WAITING) socket.pause();
    else if (change < 0 && waiting === MOST_WAITING) socket.resume();
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    if (this.#closing.has(request.socket) || request.socket.destroyed) return;
    const delivery = this.#open(request, response);
    delivery.trace.run(() => {
      try {
        // At once: what the parser finds in the body behind this head, which may be in the same piece, is said after that.
        const head = checkRequest(request);
        this.#serve(head, request, response, delivery).catch((error: unknown) => {
          this.#fail(response, asStickshiftError(error));
        });
      } catch (error) {
        this.#fail(response, asStickshiftError(error));
      }
    });
  }

  #open(request: IncomingMessage, response: ServerResponse): Delivery {
    const { deliveries, sender } = this.#options;
    if (deliveries.stopping) response.shouldKeepAlive = false;
    const method = request.method ?? 'HTTP';
    const trace = new RequestTrace(method, request);
    const delivery = deliveries.begin(method, trace, {
      fail: (failure) => this.#fail(response, failure),
      closeAfter: () => {
        response.shouldKeepAlive = false;
      },
      cut: () => response.destroy(),
    });
    this.#active.set(response, delivery);
    response.once('close', () => {
      this.#active.delete(response);
      sender.finish(request, response.writableFinished);
      deliveries.end(
        delivery,
        response.headersSent ? response.statusCode : undefined,
        response.writableFinished,
      );
    });
    return delivery;
  }

  /** Gives up a request whose body did not parse, and which may not have begun: it was read together with the one before. */
  refuse(response: ServerResponse, failure: StickshiftError): void {
    if (!this.#active.has(response)) this.#open(response.req, response);
    this.#fail(response, failure);
  }

  async #serve(
    head: CheckedHead,
    request: IncomingMessage,
    response: ServerResponse,
    delivery: Delivery,
  ): Promise<void> {
    const { headers, measuredBodyLimit } = this.#options;
    request.url = head.target;
    const client = headers.client(request);
    const chunked = request.headers['transfer-encoding'] !== undefined;
    const forwarded = headers.forBackend(request, client);
    if (hasBody(request)) this.#watchBody(request, response);
    let measured: Buffer | undefined;
    if (needsMeasuredBody(request)) {
      measured = await measureBody(request, measuredBodyLimit);
      forwarded['content-length'] = String(measured.length);
    } else if (chunked) {
      forwarded['transfer-encoding'] = 'chunked';
    }
    // As late as can be: what came before may have taken its time, and the session may have moved meanwhile.
    delivery.begin(head, client.encrypted);
    await this.#sendUntilTaken({
      delivery,
      request,
      response,
      forwarded,
      body: () => (measured ? new MeasuredBody(measured) : new ClientBody(request, hasBody(request))),
    });
  }

  async #sendUntilTaken(exchange: FullLaneExchange): Promise<void> {
    const { sender, relay } = this.#options;
    const { delivery, request, response, forwarded } = exchange;
    for (;;) {
      const destination = await delivery.next();
      if (response.destroyed) return;
      delivery.depart(destination, forwarded);
      request.headers = forwarded;
      const outcome = await sender.send(request, response, delivery, exchange.body());
      if (outcome.kind === 'client-gone') return;
      if (outcome.kind === 'answered') {
        const flaw = answerFlaw(outcome.answer);
        if (!flaw) {
          delivery.answered(outcome.answer.statusCode ?? 0);
          return relay.relay(exchange, outcome.request, outcome.answer);
        }
        delivery.missed({ kind: 'failed', error: flaw });
      } else {
        delivery.missed(outcome);
      }
    }
  }

  /** A body that pauses for too long is the client's fault, and holds a backend's connection all the while. */
  #watchBody(request: IncomingMessage, response: ServerResponse): void {
    const late = () => {
      // Paused by us: the backend is slow to take it, not the client to send it.
      if (request.isPaused()) return;
      this.#fail(response, new StickshiftError('REQUEST_TIMEOUT', 'the request body paused for too long'));
    };
    request.setTimeout(this.#options.bodyTimeoutMs, late);
    request.once('end', () => {
      request.off('timeout', late);
      request.socket.setTimeout(0);
    });
  }

  #fail(response: ServerResponse, failure: StickshiftError): void {
    const { counters, sender } = this.#options;
    const request = response.req;
    const delivery = this.#active.get(response);
    // What has been answered stays answered: this is the echo of a failure that was told already.
    if (response.writableEnded || !delivery) return;
    sender.finish(request, false);
    const { status, headers, body } = delivery.failed(failure, request.headers.accept);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    counters.countResponse(status);
    // A body that nobody has read is not worth waiting for, and a head that was refused may be followed by what was meant to be read
    // as another request.
    if ((hasBody(request) && !request.readableEnded) || status === 400) {
      response.shouldKeepAlive = false;
      this.#closing.add(request.socket);
    }
    response.writeHead(status, STATUS_CODES[status], {
      ...headers,
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

/** By the head that the client sent. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
