import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnsavedBytes } from './unsaved-bytes.ts';

const session = (size: number, idleAt = 1) => ({ data: new Uint8Array(size), idleAt });

test('what was put is taken once', () => {
  const unsaved = new UnsavedBytes(100);
  unsaved.put('a', session(10));
  assert.equal(unsaved.take('a')?.data.length, 10);
  assert.equal(unsaved.take('a'), undefined);
});

test('over the limit the oldest go first, and newer bytes of a session count once', () => {
  const unsaved = new UnsavedBytes(100);
  unsaved.put('a', session(40));
  unsaved.put('b', session(40));
  unsaved.put('a', session(50));
  unsaved.put('c', session(30));
  assert.equal(unsaved.take('b'), undefined);
  assert.equal(unsaved.take('a')?.data.length, 50);
  assert.equal(unsaved.take('c')?.data.length, 30);
});

test('one session over the limit is not kept at all', () => {
  const unsaved = new UnsavedBytes(100);
  unsaved.put('a', session(101));
  assert.equal(unsaved.take('a'), undefined);
});

test('room that was given back can be used again', () => {
  const unsaved = new UnsavedBytes(100);
  for (let round = 0; round < 10; round += 1) {
    unsaved.put('a', session(100));
    if (round % 2 === 0) unsaved.drop('a');
    else assert.ok(unsaved.take('a'));
  }
  unsaved.put('b', session(100));
  assert.ok(unsaved.take('b'));
});

test('a touch moves the deadline of bytes that wait, and makes none', () => {
  const unsaved = new UnsavedBytes(100);
  unsaved.put('a', session(10, 1));
  unsaved.touch('a', 2);
  unsaved.touch('b', 2);
  assert.equal(unsaved.take('a')?.idleAt, 2);
  assert.equal(unsaved.take('b'), undefined);
});
