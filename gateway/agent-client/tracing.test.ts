import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  InMemorySpanExporter,
  SamplingDecision,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { json, refusingUrl, startFakeServer } from '../testing/fake-server.ts';
import { testBackend } from '../testing/test-pool.ts';
import { createAgentClient } from './agent-client.ts';

const spans = new InMemorySpanExporter();
const provider = new TracerProvider({
  spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
  sampler: {
    shouldSample: (_context, _traceId, name) => ({
      decision: name === 'unsampled' ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED,
    }),
    toString: () => 'all but those named so',
  },
});
trace.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
after(() => provider.shutdown());

/** Calls an agent within a span of that name, which ends with the call. */
async function callWithin(t: TestContext, name: string | undefined, agentUrl: URL): Promise<void> {
  spans.reset();
  const agentClient = createAgentClient({ token: 'the-token', timeoutMs: 5_000 });
  t.after(() => agentClient.close());
  const call = async () => {
    await agentClient.release(testBackend({ agentUrl }), { sessionId: 'secret-id' }).catch(() => undefined);
  };
  if (name === undefined) return call();
  const span = trace.getTracer('test').startSpan(name);
  await context.with(trace.setSpan(context.active(), span), call);
  span.end();
}

const agentOf = (t: TestContext) =>
  startFakeServer(t, (_, response) => json(response, 200, { outcome: 'not-held' }));

describe('a call of an agent', () => {
  test('is a client span of the trace it belongs to, and the agent goes on from it', async (t) => {
    const agent = await agentOf(t);
    await callWithin(t, 'move', agent.url);
    const [call, move] = spans.getFinishedSpans();
    assert.equal(call?.name, 'POST /v1/sessions/release');
    assert.equal(call?.kind, SpanKind.CLIENT);
    assert.equal(call?.parentSpanContext?.spanId, move?.spanContext().spanId);
    assert.equal(call?.attributes['http.response.status_code'], 200);
    const { traceId, spanId } = call?.spanContext() ?? {};
    assert.equal(agent.requests[0]?.headers.traceparent, `00-${traceId}-${spanId}-01`);
    assert.doesNotMatch(JSON.stringify(call?.attributes), /secret-id/);
  });

  test('that fails is a failed span that names the code', async (t) => {
    await callWithin(t, 'move', await refusingUrl());
    const [call] = spans.getFinishedSpans();
    assert.deepEqual(call?.status, { code: SpanStatusCode.ERROR, message: 'AGENT_UNREACHABLE' });
  });

  test('has no span in a trace that is not recorded, and still passes the trace on', async (t) => {
    const agent = await agentOf(t);
    await callWithin(t, 'unsampled', agent.url);
    assert.equal(spans.getFinishedSpans().length, 0);
    assert.match(String(agent.requests[0]?.headers.traceparent), /-00$/);
  });

  test('begins no trace by itself', async (t) => {
    const agent = await agentOf(t);
    await callWithin(t, undefined, agent.url);
    assert.equal(spans.getFinishedSpans().length, 0);
    assert.equal(agent.requests[0]?.headers.traceparent, undefined);
  });
});
