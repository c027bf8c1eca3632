import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, readableDuration, readableSize } from './readable.ts';

test('durations are written with the one or two units that matter', () => {
  const written = [0, 850, 4_200, 59_900, 60_000, 200_000, 7_500_000, 86_400_000, 270_000_000];
  assert.deepEqual(written.map(readableDuration), [
    '0 ms',
    '850 ms',
    '4.2 s',
    '59 s',
    '1 min',
    '3 min 20 s',
    '2 h 5 min',
    '1 d',
    '3 d 3 h',
  ]);
});

test('sizes are written in the unit that fits', () => {
  assert.deepEqual([312, 1_229, 3_145_728].map(readableSize), ['312 B', '1.2 KiB', '3.0 MiB']);
});

test('one of something is singular', () => {
  assert.equal(counted(1, 'session'), '1 session');
  assert.equal(counted(0, 'session'), '0 sessions');
});
