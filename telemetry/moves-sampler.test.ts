import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ROOT_CONTEXT, SamplingDecision, type SpanContext, SpanKind, trace } from '@opentelemetry/api';
import { pino } from 'pino';
import { samplerFrom } from './moves-sampler.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

const parent = (kind: { sampled: boolean; remote: boolean }): SpanContext => ({
  traceId: TRACE_ID,
  spanId: 'b7ad6b7169203331',
  traceFlags: kind.sampled ? 1 : 0,
  isRemote: kind.remote,
});
const SAMPLED = parent({ sampled: true, remote: false });
const UNSAMPLED = parent({ sampled: false, remote: false });
const SAMPLED_BY_CALLER = parent({ sampled: true, remote: true });
const UNSAMPLED_BY_CALLER = parent({ sampled: false, remote: true });

/** A sampler that these settings name, and what it warns of. */
function sampler(name?: string, ratio?: string) {
  const warnings: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const chosen = samplerFrom(
    {
      ...(name !== undefined && { OTEL_TRACES_SAMPLER: name }),
      ...(ratio !== undefined && { OTEL_TRACES_SAMPLER_ARG: ratio }),
    },
    logger,
  );
  const records = (span: string, under?: SpanContext, kind = SpanKind.INTERNAL): boolean => {
    const context = under ? trace.setSpanContext(ROOT_CONTEXT, under) : ROOT_CONTEXT;
    const { decision } = chosen.shouldSample(context, TRACE_ID, span, kind, {}, []);
    return decision === SamplingDecision.RECORD_AND_SAMPLED;
  };
  return { records, warnings };
}

describe('a move', () => {
  for (const name of ['traceidratio', 'parentbased_traceidratio']) {
    test(`is recorded where ${name} leaves its request out`, () => {
      const { records } = sampler(name, '0');
      assert.equal(records('GET', undefined, SpanKind.SERVER), false);
      assert.equal(records('session.handoff', UNSAMPLED), true);
    });

    test(`is recorded with all that is under it under ${name}`, () => {
      const { records } = sampler(name, '0');
      assert.equal(records('POST /v1/sessions/adopt', SAMPLED, SpanKind.CLIENT), true);
      assert.equal(records('session.adopt', SAMPLED_BY_CALLER, SpanKind.SERVER), true);
      assert.equal(records('session.store', SAMPLED), true);
    });
  }

  test('is recorded where the client does not want its requests to be', () => {
    assert.equal(sampler('parentbased_always_off').records('session.handoff', UNSAMPLED_BY_CALLER), true);
  });

  test('is not recorded under always_off, which means what it says', () => {
    const { records } = sampler('always_off');
    assert.equal(records('session.handoff'), false);
    assert.equal(records('session.adopt', SAMPLED_BY_CALLER), false);
  });
});

describe('everything else', () => {
  test('is as the named sampler has it', () => {
    const { records } = sampler('parentbased_traceidratio', '0');
    assert.equal(records('GET', UNSAMPLED_BY_CALLER, SpanKind.SERVER), false);
    assert.equal(records('GET', SAMPLED_BY_CALLER, SpanKind.SERVER), true);
    assert.equal(records('session.commit', UNSAMPLED_BY_CALLER, SpanKind.SERVER), false);
    assert.equal(sampler('always_on').records('GET'), true);
  });

  test('is not recorded because a client says so to a sampler that does not listen to clients', () => {
    const { records } = sampler('traceidratio', '0');
    assert.equal(records('GET', SAMPLED_BY_CALLER, SpanKind.SERVER), false);
  });

  test('is recorded when nothing is set, unless the client says no', () => {
    const { records, warnings } = sampler();
    assert.equal(records('GET'), true);
    assert.equal(records('GET', UNSAMPLED_BY_CALLER), false);
    assert.deepEqual(warnings, []);
  });
});

describe('a setting that makes no sense', () => {
  test('is a warning, and the default holds', () => {
    const { records, warnings } = sampler('sometimes');
    assert.equal(records('GET'), true);
    assert.match(warnings.join(), /"sampler":"sometimes"/);
  });

  for (const ratio of ['half', '-1', '2']) {
    test(`is a warning for a ratio of ${ratio}, and everything is recorded`, () => {
      const { records, warnings } = sampler('traceidratio', ratio);
      assert.equal(records('GET'), true);
      assert.equal(warnings.length, 1);
    });
  }
});
