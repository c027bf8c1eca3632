import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import {
  type Context,
  context,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Backend } from '../backends/backend.ts';
import type { Route } from '../routing/router.ts';

const tracer = trace.getTracer('stickshift');

/** The trace of one client request: a server span, continuing the client's trace, and a client span for each attempt. */
export class RequestTrace {
  readonly #span: Span;
  readonly #context: Context;
  #failed = false;

  constructor(name: string, { method = '', headers }: Pick<IncomingMessage, 'method' | 'headers'>) {
    const caller = propagation.extract(ROOT_CONTEXT, headers);
    this.#span = tracer.startSpan(name, { kind: SpanKind.SERVER }, caller);
    // Without a caller's trace and without a tracer of ours there is nothing to keep: the request goes untraced, at no cost.
    this.#context = isSpanContextValid(this.#span.spanContext()) ? trace.setSpan(caller, this.#span) : caller;
    // No path: it may hold a session ID.
    if (this.#span.isRecording()) this.#span.setAttribute('http.request.method', method);
  }

  /** By which somebody who was shown it finds the trace; undefined when it is not recorded. */
  get id(): string | undefined {
    return this.#span.isRecording() ? this.#span.spanContext().traceId : undefined;
  }

  /** What is done now belongs to this trace already; with no trace at all, to none. */
  get isActive(): boolean {
    return context.active() === this.#context;
  }

  /** Has spans and log lines of `work` belong to this trace, with all that it begins. Event listeners need it anew. */
  run<T>(work: () => T): T {
    // Compared with what is active, not with the root: a listener may run in the trace of another request.
    return this.isActive ? work() : context.with(this.#context, work);
  }

  routed(route: Route): void {
    if (!this.#span.isRecording()) return;
    this.#span.setAttribute(ATTRIBUTE.pool, route.routing.pool.name);
    if (route.session) this.#span.setAttribute(ATTRIBUTE.sessionKey, route.session.key);
  }

  /**
   * Passes the trace on in `headers`, recorded or not: an app that is told nothing would begin a trace of its own.
   *
   * @param resends - how many attempts went before
   */
  attempt(
    method: string,
    backend: Backend,
    resends: number,
    headers: IncomingHttpHeaders,
  ): AttemptTrace | undefined {
    if (!this.#span.isRecording()) {
      propagation.inject(this.#context, headers);
      return undefined;
    }
    const attributes = {
      'http.request.method': method,
      'http.request.resend_count': resends,
      [ATTRIBUTE.backend]: backend.id,
    };
    const span = tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, this.#context);
    propagation.inject(trace.setSpan(this.#context, span), headers);
    return new AttemptTrace(span);
  }

  /** The first failure is the cause; later ones follow from it. */
  failed(code: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  }

  /** @param status - that the client got; undefined when that is not known */
  end(status: number | undefined): void {
    if (status !== undefined && this.#span.isRecording()) {
      this.#span.setAttribute('http.response.status_code', status);
      if (status >= 500) this.failed(String(status));
    }
    this.#span.end();
  }
}

/** One attempt to have a request answered by one backend. */
export class AttemptTrace {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  answered(status: number): void {
    this.#span.setAttribute('http.response.status_code', status);
    this.#span.end();
  }

  failed(reason: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    this.#span.end();
  }
}
