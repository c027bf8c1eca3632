import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { StickshiftError } from '../protocol/errors.ts';
import { sessionKeyDeriver } from '../protocol/session-key.ts';
import { MemoryStore } from '../session-agent/testing/memory-store.ts';
import { tracedStore } from './traced-store.ts';

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
trace.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
after(() => provider.shutdown());
beforeEach(() => exporter.reset());

const KEY = sessionKeyDeriver(Buffer.alloc(32), 'shop')('alice');
const COMMIT = {
  owner: 'app-1',
  epoch: 1,
  seq: 1,
  snapshot: Buffer.from('sealed'),
  deadlines: { idleAt: Date.now() + 60_000, absoluteAt: undefined },
};

async function within<T>(work: () => Promise<T>): Promise<T> {
  return trace.getTracer('test').startActiveSpan('request', async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

/** Spans of the store, as `operation outcome`. */
const storeSpans = () =>
  exporter
    .getFinishedSpans()
    .filter(({ name }) => name === 'session.store')
    .map(
      ({ attributes }) => `${attributes['stickshift.store.operation']} ${attributes['stickshift.outcome']}`,
    );

describe('an operation of the store', () => {
  test('is a span of the trace it belongs to, with what came of it', async () => {
    const store = tracedStore(new MemoryStore());
    await within(async () => {
      await store.lookup(KEY);
      await store.commit(KEY, COMMIT);
      await store.lookup(KEY);
      await store.adopt(KEY, { owner: 'app-2', ifEpoch: 1 });
      await store.commit(KEY, { ...COMMIT, seq: 2 });
    });
    assert.deepEqual(storeSpans(), [
      'lookup absent',
      'commit committed',
      'lookup active',
      'adopt adopted',
      'commit fenced',
    ]);
    const spans = exporter.getFinishedSpans();
    const request = spans.find(({ name }) => name === 'request');
    for (const span of spans) {
      if (span === request) continue;
      assert.equal(span.parentSpanContext?.spanId, request?.spanContext().spanId);
      assert.equal(span.attributes['stickshift.session.key'], KEY);
    }
  });

  test('that fails is a failed span that names the code', async () => {
    const memory = new MemoryStore();
    memory.fault = () => 'unreachable';
    const lookup = within(() => tracedStore(memory).lookup(KEY));
    await assert.rejects(lookup, (error) => error instanceof StickshiftError);
    assert.deepEqual(exporter.getFinishedSpans()[0]?.status, {
      code: SpanStatusCode.ERROR,
      message: 'STORE_UNREACHABLE',
    });
  });

  test('begins no trace by itself, and does its work all the same', async () => {
    const store = tracedStore(new MemoryStore());
    assert.deepEqual(await store.commit(KEY, COMMIT), { outcome: 'committed' });
    assert.equal((await store.lookup(KEY))?.owner, 'app-1');
    assert.deepEqual(exporter.getFinishedSpans(), []);
  });
});
