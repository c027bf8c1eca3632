import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, propagation, trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { AdoptAnswer } from '../../protocol/agent-api.ts';
import { sessionKeyDeriver } from '../../protocol/session-key.ts';
import { tracedOperations } from './operations.ts';

type SdkOptions = NonNullable<ConstructorParameters<typeof NodeSDK>[0]>;
type SpanProcessor = NonNullable<SdkOptions['spanProcessors']>[number];
type FinishedSpan = Parameters<SpanProcessor['onEnd']>[0];

const keyOf = sessionKeyDeriver(Buffer.alloc(32), 'shop');

test('an adopt is a span under the gateway’s, with what a reader of the trace needs', async () => {
  const finished: FinishedSpan[] = [];
  const sdk = new NodeSDK({
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span) => void finished.push(span),
        forceFlush: async () => undefined,
        shutdown: async () => undefined,
      },
    ],
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  try {
    const found: AdoptAnswer = { outcome: 'found', epoch: 3, seq: 7, ageMs: 20, size: 300 };
    const operations = tracedOperations(
      {
        adopt: async () => {
          trace.getTracer('test').startSpan('within').end();
          return found;
        },
        release: async () => ({ outcome: 'not-held' }),
        releaseIdle: async () => ({ released: 0, remaining: 0, unprotected: 0 }),
        commit: async () => [],
      },
      { backend: 'app-1', incarnation: 'first' },
      keyOf,
    );
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const caller = propagation.extract(context.active(), { traceparent });
    const request = { backend: 'app-1', sessionId: 'alice', ifEpoch: 2, reason: 'takeover' as const };
    const answer = await context.with(caller, () => operations.adopt(request));
    assert.deepEqual(answer, { ...found, incarnation: 'first' });

    const [within, adopt] = finished;
    assert.equal(adopt?.name, 'session.adopt');
    assert.equal(adopt?.spanContext().traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.equal(adopt?.parentSpanContext?.spanId, 'b7ad6b7169203331');
    assert.equal(within?.parentSpanContext?.spanId, adopt?.spanContext().spanId);
    assert.deepEqual(adopt?.attributes, {
      'stickshift.backend': 'app-1',
      'stickshift.session.key': keyOf('alice'),
      'stickshift.handoff.reason': 'takeover',
      'stickshift.outcome': 'found',
      'stickshift.session.epoch': 3,
      'stickshift.session.seq': 7,
      'stickshift.snapshot.age_ms': 20,
      'stickshift.snapshot.size': 300,
    });
  } finally {
    await sdk.shutdown();
  }
});
