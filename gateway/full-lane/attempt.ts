import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Stream } from 'node:stream';
import { createProxyServer, type ProxyServer } from 'http-proxy-3';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { Delivery, Miss } from '../delivery/delivery.ts';
import type { BackendConnections } from './backend-connections.ts';
import type { RequestBody } from './request-body.ts';

/** How one attempt to send a request to one backend ended. */
export type AttemptOutcome =
  | { readonly kind: 'answered'; readonly answer: IncomingMessage; readonly request: ClientRequest }
  | Miss
  | { readonly kind: 'client-gone' };

export interface AttemptTimeouts {
  readonly connect: number;
  readonly firstByte: number;
}

class Attempt {
  readonly body: RequestBody;
  readonly #delivery: Delivery;
  request: ClientRequest | undefined;
  answer: IncomingMessage | undefined;
  connected = false;
  failure: StickshiftError | undefined;
  #connectTimer: NodeJS.Timeout | undefined;
  #settle: ((outcome: AttemptOutcome) => void) | undefined;

  constructor(delivery: Delivery, body: RequestBody, settle: (outcome: AttemptOutcome) => void) {
    this.#delivery = delivery;
    this.body = body;
    this.#settle = settle;
  }

  /** The request got its socket: the body may flow as soon as that is connected. */
  assign(request: ClientRequest, socket: Socket, timeouts: AttemptTimeouts): void {
    this.request = request;
    request.setTimeout(timeouts.firstByte, () => this.abandon('BACKEND_TIMEOUT', 'no first byte in time'));
    // Nobody asked for another protocol, and without a listener nobody would hear of the end of this one.
    request.once('upgrade', (_, upgraded) => {
      upgraded.destroy();
      const error = new StickshiftError('BACKEND_INVALID', 'the backend switched protocols unasked');
      this.settle({ kind: 'failed', error });
    });
    if (!socket.connecting) {
      this.#onConnected();
      return;
    }
    this.#connectTimer = setTimeout(
      () => this.abandon('CONNECT_TIMEOUT', 'no connection in time'),
      timeouts.connect,
    );
    socket.once('connect', () => this.#onConnected());
  }

  abandon(code: 'BACKEND_TIMEOUT' | 'CONNECT_TIMEOUT', message: string): void {
    this.failure = new StickshiftError(code, message);
    // First: an answer that ends with its connection would pass for a whole one.
    this.answer?.destroy(this.failure);
    this.request?.destroy(this.failure);
  }

  #onConnected(): void {
    clearTimeout(this.#connectTimer);
    this.connected = true;
    this.body.open();
  }

  settle(outcome: AttemptOutcome): void {
    clearTimeout(this.#connectTimer);
    const settle = this.#settle;
    // http-proxy-3 may report two errors for one request; the first is the cause.
    this.#settle = undefined;
    settle?.(outcome);
  }

  fail(error: Error & { code?: string }): void {
    if (!this.connected) {
      this.settle({
        kind: 'not-connected',
        error: this.failure ?? asStickshiftError(error, 'CONNECT_FAILED'),
      });
    } else if (this.failure) {
      this.settle({ kind: 'failed', error: this.failure });
    } else if (this.#delivery.mayRepeat(this.request?.reusedSocket ?? false, this.body.consumed)) {
      this.settle({ kind: 'stale' });
    } else {
      const code = error.code?.startsWith('HPE_') ? 'BACKEND_INVALID' : 'BACKEND_RESET';
      this.settle({ kind: 'failed', error: asStickshiftError(error, code) });
    }
  }
}

/** Sends requests to backends through http-proxy-3, one attempt at a time, and says exactly how each ended. */
export class AttemptSender {
  readonly #proxy: ProxyServer;
  readonly #connections: BackendConnections;
  readonly #timeouts: AttemptTimeouts;
  /** Not a WeakMap: with a key per request that costs the garbage collector more than the rest of the request. */
  readonly #current = new Map<IncomingMessage, Attempt>();

  constructor(options: { connections: BackendConnections; timeouts: AttemptTimeouts }) {
    this.#connections = options.connections;
    this.#timeouts = options.timeouts;
    // The answer is relayed by us: http-proxy-3 would let hop-by-hop headers through and leave a cut-off answer open.
    this.#proxy = createProxyServer({ selfHandleResponse: true, prependPath: false, toProxy: true });
    this.#proxy.on('proxyReq', (request, message, _response, _options, socket) => {
      // http-proxy-3 drops a query that is empty ("/cart?"). The head is not written before the body is opened.
      request.path = message.url ?? '/';
      this.#connections.sending(socket);
      this.#current.get(message)?.assign(request, socket, this.#timeouts);
    });
    this.#proxy.on('proxyRes', (answer, message) => {
      const attempt = this.#current.get(message);
      if (!attempt?.request) return;
      this.#connections.answered(answer, attempt.request.method);
      attempt.answer = answer;
      attempt.settle({ kind: 'answered', answer, request: attempt.request });
    });
    this.#proxy.on('econnreset', (_error, message) => {
      this.#current.get(message as IncomingMessage)?.settle({ kind: 'client-gone' });
    });
  }

  /**
   * To be called once for every request sent, when its answer has ended or will not come: ends an attempt that is still under
   * way and forgets the request.
   */
  finish(request: IncomingMessage, answered: boolean): void {
    const attempt = this.#current.get(request);
    if (!attempt) return;
    this.#current.delete(request);
    if (answered) return;
    attempt.settle({ kind: 'client-gone' });
    attempt.request?.destroy();
  }

  /** `request.headers` must be what the backend shall see. Call {@link finish} in the end. */
  send(
    request: IncomingMessage,
    response: ServerResponse,
    delivery: Delivery,
    body: RequestBody,
  ): Promise<AttemptOutcome> {
    const { backend } = delivery;
    return new Promise((resolve) => {
      const settle = (outcome: AttemptOutcome) => {
        // Or each further attempt would find the next dead one: a backend that died has left many.
        if (outcome.kind === 'stale') this.#connections.dropIdle(backend);
        resolve(outcome);
      };
      const attempt = new Attempt(delivery, body, settle);
      this.#current.set(request, attempt);
      const { web } = this.#proxy;
      try {
        web(
          request,
          response,
          { target: backend.url, agent: this.#connections.to(backend), buffer: body as unknown as Stream },
          (error: Error) => attempt.fail(error),
        );
      } catch (error) {
        attempt.settle({ kind: 'failed', error: asStickshiftError(error, 'BAD_REQUEST') });
      }
    });
  }
}
