import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CheckLoop } from './check-loop.ts';

test('a check that a request asks for, and those after it, are no part of the request’s trace', async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => context.disable());
  const asker = createContextKey('who asked');
  const seen: unknown[] = [];
  const enough = Promise.withResolvers<void>();
  const loop = new CheckLoop(async () => {
    seen.push(context.active().getValue(asker));
    if (seen.length === 3) enough.resolve();
  }, 1);
  t.after(() => loop.stop());
  await loop.start();
  context.with(ROOT_CONTEXT.setValue(asker, 'a request'), () => loop.prompt());
  await enough.promise;
  assert.deepEqual(seen.slice(0, 3), [undefined, undefined, undefined]);
});
