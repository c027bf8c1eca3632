import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import pino from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { Dispatcher, type Lane } from './dispatcher.ts';
import { StoreHealth } from './store-health.ts';

function create(concurrency: number, times = { base: 60_000, cap: 60_000, hurried: 1 }) {
  const health = new StoreHealth(pino({ enabled: false }), times);
  const dispatcher = new Dispatcher(concurrency, health);
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const add = (lane: Lane, id: string) =>
    dispatcher.add(lane, id, () => {
      started.push(`${lane} ${id}`);
      return new Promise((resolve) => finish.set(id, resolve));
    });
  const end = async (id: string) => {
    finish.get(id)?.();
    await new Promise(setImmediate);
  };
  return { health, dispatcher, started, add, end };
}

test('the most urgent lane goes first, and within it who came first', async () => {
  const { add, end, started } = create(1);
  add('commit', 'first');
  add('touch', 'a');
  add('commit', 'b');
  add('awaited', 'c');
  add('end', 'd');
  add('commit', 'e');
  for (const id of ['first', 'd', 'c', 'b', 'e', 'a']) await end(id);
  assert.deepEqual(started, ['commit first', 'end d', 'awaited c', 'commit b', 'commit e', 'touch a']);
});

test('touches leave room for commits', () => {
  const { add, started } = create(8);
  for (let number = 0; number < 8; number++) add('touch', `t${number}`);
  assert.equal(started.length, 2);
  add('commit', 'a');
  assert.equal(started.at(-1), 'commit a');
});

test('a session waits once per lane', async () => {
  const { add, end, started } = create(1);
  add('commit', 'first');
  for (let time = 0; time < 5; time++) add('commit', 'again');
  await end('first');
  await end('again');
  assert.deepEqual(started, ['commit first', 'commit again']);
});

test('while the store is away nothing starts, until somebody is in a hurry', async () => {
  const { health, dispatcher, add, started } = create(8);
  await assert.rejects(health.watch(Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'gone'))));
  add('commit', 'a');
  add('commit', 'b');
  assert.deepEqual(started, []);
  const { promise, resolve } = Promise.withResolvers<void>();
  const hurry = dispatcher.hurry(promise);
  while (started.length === 0) await new Promise((later) => setTimeout(later, 1));
  assert.deepEqual(started, ['commit a'], 'one at a time');
  await health.watch(Promise.resolve());
  assert.deepEqual(started, ['commit a', 'commit b'], 'all of them when it is back');
  resolve();
  await hurry;
});

test('a stopped dispatcher starts nothing', async () => {
  const { dispatcher, add, end, started } = create(1);
  add('commit', 'a');
  add('commit', 'b');
  dispatcher.stop();
  await end('a');
  assert.deepEqual(started, ['commit a']);
});

test('each operation belongs to the trace of who asked for it, not of who made room for it', async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => context.disable());
  const dispatcher = new Dispatcher(1, new StoreHealth(pino({ enabled: false })));
  const asker = createContextKey('who asked');
  const seen: unknown[] = [];
  for (const name of ['alice', 'bob', 'carol']) {
    const asked = ROOT_CONTEXT.setValue(asker, name);
    context.with(asked, () =>
      dispatcher.add('commit', name, async () => {
        await Promise.resolve();
        seen.push(context.active().getValue(asker));
      }),
    );
  }
  await new Promise(setImmediate);
  assert.deepEqual(seen, ['alice', 'bob', 'carol']);
});
