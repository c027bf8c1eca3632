import { type Context, isSpanContextValid, SamplingDecision, TraceFlags, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { SPAN } from '../protocol/telemetry-names.ts';

/** Spans of an agent. Whoever calls it has shown that it is a gateway of the same installation. */
const AGENT_SPANS: ReadonlySet<string> = new Set([SPAN.adopt, SPAN.release, SPAN.commit]);

const RECORD: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };

/**
 * Records every move with all that is under it, and leaves everything else to another sampler. A move whose request is
 * not recorded stays in that request's trace: one trace ID in the log lines of client, gateway, agent and app, at the
 * price of a first span whose parent nobody has.
 */
export class MovesSampler implements Sampler {
  readonly #others: Sampler;

  constructor(others: Sampler) {
    this.#others = others;
  }

  shouldSample(...asked: Parameters<Sampler['shouldSample']>): SamplingResult {
    const [parent, , name] = asked;
    // Below a recorded span a sampler that ignores parents would tear holes, through which an agent loses its place.
    if (name === SPAN.handoff || continues(parent, name)) return RECORD;
    return this.#others.shouldSample(...asked);
  }

  toString(): string {
    return `MovesSampler{${this.#others}}`;
  }
}

/** Part of something recorded here, or by a gateway. A client's wish to be recorded is for the other sampler to grant. */
function continues(context: Context, name: string): boolean {
  const parent = trace.getSpanContext(context);
  if (!parent || !isSpanContextValid(parent) || !(parent.traceFlags & TraceFlags.SAMPLED)) return false;
  return parent.isRemote !== true || AGENT_SPANS.has(name);
}

/** The sampler that `OTEL_TRACES_SAMPLER` names, with moves added unless that is `always_off`. */
export function samplerFrom(env: NodeJS.ProcessEnv, logger: Logger): Sampler {
  const named = namedSampler(env, logger);
  return named instanceof AlwaysOffSampler ? named : new MovesSampler(named);
}

function namedSampler(env: NodeJS.ProcessEnv, logger: Logger): Sampler {
  const name = env.OTEL_TRACES_SAMPLER?.trim() || 'parentbased_always_on';
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratioFrom(env, logger));
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratioFrom(env, logger)) });
    case 'parentbased_always_on':
      break;
    default:
      logger.warn({ sampler: name }, 'OTEL_TRACES_SAMPLER names no sampler; using parentbased_always_on');
  }
  return new ParentBasedSampler({ root: new AlwaysOnSampler() });
}

function ratioFrom(env: NodeJS.ProcessEnv, logger: Logger): number {
  const text = env.OTEL_TRACES_SAMPLER_ARG?.trim();
  const ratio = text ? Number(text) : 1;
  if (ratio >= 0 && ratio <= 1) return ratio;
  logger.warn({ ratio: text }, 'OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1; using 1');
  return 1;
}
