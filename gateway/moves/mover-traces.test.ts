import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { StickshiftError } from '../../protocol/errors.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

/** Records spans as long as the test lasts. */
function recordSpans(t: TestContext): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => {
    trace.disable();
    context.disable();
  });
  return exporter;
}

/** Does `work` within a span of that name, as a request's. */
async function asRequest(name: string, work: () => Promise<unknown>): Promise<void> {
  await trace.getTracer('test').startActiveSpan(name, async (span) => {
    await work();
    span.end();
  });
}

test('a move is in the trace of the request that began it, and linked to by those that waited for it', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend } = moverScene({});
  backend('app-1').appUp = false;
  await Promise.all(['first', 'second'].map((name) => asRequest(name, () => mover.place(session, NO_HINT))));
  const span = (name: string) => exporter.getFinishedSpans().find((one) => one.name === name);
  const handoff = span('session.handoff')?.spanContext();
  assert.equal(exporter.getFinishedSpans().length, 3);
  assert.equal(span('session.handoff')?.parentSpanContext?.spanId, span('first')?.spanContext().spanId);
  assert.deepEqual(
    span('second')?.links.map((link) => link.context.spanId),
    [handoff?.spanId],
  );
  assert.deepEqual(span('first')?.links, []);
});

test('a hand-off whose target does not answer is a failed span, and the next one tells how it went on', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend, world } = moverScene({ state: 'released' });
  backend('app-1').appUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to.id === 'app-2') throw new StickshiftError('AGENT_UNREACHABLE', 'nobody listens');
    return obey(to, ifEpoch);
  };
  await mover.place(session, NO_HINT);
  const handoffs = exporter.getFinishedSpans();
  assert.deepEqual(
    handoffs.map(({ attributes, status }) => [attributes['stickshift.handoff.to'], status]),
    [
      ['app-2', { code: SpanStatusCode.ERROR, message: 'AGENT_UNREACHABLE' }],
      ['app-3', { code: SpanStatusCode.UNSET }],
    ],
  );
});

test('the span of a hand-off says that something is possibly lost', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend, acknowledged } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  acknowledged.committed(session.ref, 10);
  await mover.place(session, NO_HINT);
  const [handoff] = exporter.getFinishedSpans();
  assert.equal(handoff?.attributes['stickshift.handoff.possibly_lost'], true);
});
