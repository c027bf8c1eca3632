import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { after, beforeEach, describe, test } from 'node:test';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { testBackend } from '../testing/test-pool.ts';
import { RequestTrace } from './request-trace.ts';

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({
  spanProcessors: [new SimpleSpanProcessor({ exporter })],
  sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
});
trace.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
after(() => provider.shutdown());
beforeEach(() => exporter.reset());

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';

function requestTrace(headers: IncomingHttpHeaders = {}): RequestTrace {
  return new RequestTrace('GET', { method: 'GET', headers } as IncomingMessage);
}

describe('the trace of a request', () => {
  test('goes on from the client’s, through an attempt, to the app', () => {
    const request = requestTrace({ traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-01` });
    const forwarded: IncomingHttpHeaders = {};
    request.attempt('GET', testBackend({}), 1, forwarded)?.answered(200);
    request.end(200);
    const [attempt, server] = exporter.getFinishedSpans();
    assert.equal(request.id, undefined, 'it has ended');
    assert.equal(server?.kind, SpanKind.SERVER);
    assert.equal(server?.parentSpanContext?.spanId, CLIENT_SPAN);
    assert.equal(attempt?.kind, SpanKind.CLIENT);
    assert.equal(attempt?.parentSpanContext?.spanId, server?.spanContext().spanId);
    assert.equal(attempt?.attributes['http.request.resend_count'], 1);
    assert.equal(attempt?.attributes['stickshift.backend'], 'app-1');
    assert.equal(forwarded.traceparent, `00-${TRACE_ID}-${attempt?.spanContext().spanId}-01`);
  });

  test('that is not recorded is passed on as such, so that the app begins none of its own', () => {
    const request = requestTrace({ traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-00` });
    const forwarded: IncomingHttpHeaders = {};
    assert.equal(request.attempt('GET', testBackend({}), 0, forwarded), undefined);
    request.end(200);
    assert.match(String(forwarded.traceparent), new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`));
    assert.equal(request.id, undefined);
    assert.deepEqual(exporter.getFinishedSpans(), []);
  });

  test('is that of everything which runs in it', async () => {
    const request = requestTrace();
    const active = await request.run(async () => {
      await Promise.resolve();
      return trace.getActiveSpan()?.spanContext().traceId;
    });
    assert.equal(active, request.id);
  });

  test('is that of a listener, too, whoever’s trace that is called in', () => {
    const [one, other] = [requestTrace(), requestTrace()];
    const active = one.run(() => other.run(() => trace.getActiveSpan()?.spanContext().traceId));
    assert.equal(active, other.id);
  });

  test('tells the first failure, from which others follow', () => {
    const request = requestTrace();
    request.failed('NO_BACKEND');
    request.failed('CLIENT_ABORTED');
    request.end(503);
    assert.deepEqual(exporter.getFinishedSpans()[0]?.status, {
      code: SpanStatusCode.ERROR,
      message: 'NO_BACKEND',
    });
  });

  test('has failed when the app says that it has', () => {
    requestTrace().end(500);
    requestTrace().end(404);
    assert.deepEqual(
      exporter.getFinishedSpans().map(({ status }) => status.code),
      [SpanStatusCode.ERROR, SpanStatusCode.UNSET],
    );
  });
});
