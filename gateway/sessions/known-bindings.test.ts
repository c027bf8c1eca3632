import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backend } from '../backends/backend.ts';
import { KnownBindings } from './known-bindings.ts';

const backend = new Backend({
  id: 'app-1',
  pool: 'shop',
  url: new URL('http://127.0.0.1:1'),
  agentUrl: new URL('http://127.0.0.1:2'),
  weight: 100,
});
const binding = (epoch: number) => ({ backend, epoch, stamp: undefined });

test('a binding is remembered until it is replaced or doubted', () => {
  const known = new KnownBindings();
  known.set('shop a', binding(1));
  known.set('shop a', binding(2));
  assert.deepEqual(known.get('shop a'), binding(2));
  known.doubt('shop a');
  assert.equal(known.get('shop a')?.isDoubtful, true);
  known.set('shop a', binding(3));
  assert.deepEqual(known.get('shop a'), binding(3));
});

test('a doubt remembers the newest epoch, so that no older binding is believed in its place', () => {
  const known = new KnownBindings();
  known.set('shop a', binding(4));
  known.doubt('shop a', { backend, epoch: 3 });
  assert.partialDeepStrictEqual(known.get('shop a'), { backend, epoch: 4 });
  known.doubt('shop a', { backend, epoch: 5 });
  assert.partialDeepStrictEqual(known.get('shop a'), { backend, epoch: 5 });
  known.doubt('shop b');
  assert.partialDeepStrictEqual(known.get('shop b'), { backend: undefined, epoch: 0 });
});

test('a late answer of an owner takes nothing back that is known of a newer one; a record does', () => {
  const known = new KnownBindings();
  known.confirm('shop a', binding(2));
  known.confirm('shop a', binding(1));
  assert.deepEqual(known.get('shop a'), binding(2));
  known.doubt('shop a');
  known.confirm('shop a', binding(1));
  assert.equal(known.get('shop a')?.isDoubtful, true);
  known.confirm('shop a', binding(2));
  assert.deepEqual(known.get('shop a'), binding(2));
  known.set('shop a', binding(1));
  assert.deepEqual(known.get('shop a'), binding(1));
});

test('memory stays within the limit however many sessions there are', () => {
  const known = new KnownBindings(100);
  for (let i = 0; i < 10_000; i++) known.set(`shop ${i}`, binding(i));
  assert.ok(known.size <= 100, `${known.size} entries`);
});

test('a session that is used outlives those that are not', () => {
  const known = new KnownBindings(100);
  known.set('shop busy', binding(7));
  for (let i = 0; i < 1_000; i++) {
    known.set(`shop ${i}`, binding(i));
    known.get('shop busy');
  }
  assert.deepEqual(known.get('shop busy'), binding(7));
  assert.equal(known.get('shop 0'), undefined);
});

test('a replaced binding never comes back from the older generation', () => {
  const known = new KnownBindings(4);
  known.set('shop a', binding(1));
  known.set('shop b', binding(1));
  known.set('shop c', binding(1));
  known.set('shop a', binding(2));
  known.doubt('shop a');
  assert.equal(known.get('shop a')?.isDoubtful, true);
});
