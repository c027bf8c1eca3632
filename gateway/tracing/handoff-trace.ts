import {
  type Context,
  context,
  type Span,
  type SpanContext,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { AdoptAnswer, HandoffReason } from '../../protocol/agent-api.ts';
import { ATTRIBUTE, SPAN } from '../../protocol/telemetry-names.ts';
import type { SessionReference } from '../sessions/session-reference.ts';

interface Handoff {
  readonly session: SessionReference;
  readonly from: string;
  readonly to: string;
  readonly reason: HandoffReason;
}

/**
 * The span of one hand-off, part of the trace of the request that made it necessary. Exporters get it even where they do
 * not get the request: telemetry sees to that by the span's name.
 */
export class HandoffTrace {
  /** The same facts for log lines. */
  readonly facts: Readonly<Record<string, string>>;
  readonly #span: Span;
  readonly #context: Context;

  constructor({ session, from, to, reason }: Handoff) {
    this.facts = {
      [ATTRIBUTE.sessionKey]: session.key,
      [ATTRIBUTE.reason]: reason,
      [ATTRIBUTE.from]: from,
      [ATTRIBUTE.to]: to,
    };
    const attributes = { ...this.facts, [ATTRIBUTE.pool]: session.pool.name };
    this.#span = trace.getTracer('stickshift').startSpan(SPAN.handoff, { attributes });
    this.#context = trace.setSpan(context.active(), this.#span);
  }

  /** Undefined when it is not recorded. */
  get spanContext(): SpanContext | undefined {
    return this.#span.isRecording() ? this.#span.spanContext() : undefined;
  }

  run<T>(work: () => T): T {
    return context.with(this.#context, work);
  }

  /** The session stays with its old owner. */
  kept(): void {
    this.#span.setAttribute(ATTRIBUTE.outcome, 'kept');
  }

  answered(answer: AdoptAnswer): void {
    this.#span.setAttribute(ATTRIBUTE.outcome, answer.outcome);
    if (answer.outcome === 'unknown') this.failed(answer.code);
    if (answer.outcome === 'found') this.#span.setAttributes(rehydrated(answer));
  }

  /** A change that was acknowledged may be missing from what was rehydrated. */
  possiblyLost(): void {
    this.#span.setAttribute(ATTRIBUTE.possiblyLost, true);
  }

  failed(code: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  }

  end(): void {
    this.#span.end();
  }
}

/** What was rehydrated, for spans and log lines. */
export function rehydrated({ epoch, seq, ageMs, size }: Extract<AdoptAnswer, { outcome: 'found' }>) {
  return {
    [ATTRIBUTE.epoch]: epoch,
    [ATTRIBUTE.seq]: seq,
    [ATTRIBUTE.snapshotAgeMs]: ageMs,
    [ATTRIBUTE.snapshotSize]: size,
  };
}

/** Shows in the trace of a request that it waited for a hand-off of another one. */
export function linkToHandoff(handoff: SpanContext): void {
  trace.getActiveSpan()?.addLink({ context: handoff });
}
