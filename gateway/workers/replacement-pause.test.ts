import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplacementPause } from './replacement-pause.ts';

test('a worker that dies is replaced at once, and later and later while it dies young', () => {
  const pause = new ReplacementPause();
  const pauses = Array.from({ length: 10 }, () => pause.after(50));
  assert.deepEqual(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
});

test('a worker that has lived for a while is replaced at once again', () => {
  const pause = new ReplacementPause();
  for (let i = 0; i < 5; i++) pause.after(0);
  assert.deepEqual([pause.after(10_000), pause.after(50)], [0, 100]);
});
