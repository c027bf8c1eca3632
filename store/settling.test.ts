import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { Settling } from './settling.ts';

let now = 1_000;
beforeEach(() => {
  mock.method(performance, 'now', () => now);
});
afterEach(() => mock.restoreAll());

function watched(settleMs = 5_000) {
  const settling = new Settling(settleMs);
  const begun: number[] = [];
  const stop = settling.onBegin(() => begun.push(settling.remainingMs));
  return { settling, begun, stop };
}

describe('settling', () => {
  test('does not begin with the first data set that a process sees', () => {
    const { settling, begun } = watched();
    settling.learn({ token: 'a', remainingMs: 0 });
    settling.learn({ token: 'a', remainingMs: 0 });
    assert.deepEqual([settling.remainingMs, begun], [0, []]);
  });

  test('is joined by a process that sees it for the first time', () => {
    const { settling, begun } = watched();
    settling.learn({ token: 'a', remainingMs: 1_200 });
    assert.deepEqual(begun, [1_200]);
    now += 1_000;
    assert.equal(settling.remainingMs, 200);
    now += 1_000;
    assert.equal(settling.remainingMs, 0);
  });

  test('begins with another data set, with all of its time, also while it is under way', () => {
    const { settling, begun } = watched();
    settling.learn({ token: 'a', remainingMs: 0 });
    settling.learn({ token: 'b', remainingMs: 0 });
    now += 2_000;
    settling.learn({ token: 'b', remainingMs: 3_000 });
    settling.learn({ token: 'c', remainingMs: 100 });
    assert.deepEqual(begun, [5_000, 5_000]);
  });

  test('is prolonged, never shortened, and prolonging is no beginning for who does it', () => {
    const { settling, begun, stop } = watched();
    settling.learn({ token: 'a', remainingMs: 0 });
    settling.prolong(2_000);
    settling.prolong(500);
    settling.learn({ token: 'a', remainingMs: 700 });
    assert.deepEqual([settling.remainingMs, begun], [2_000, []]);
    now += 2_000;
    settling.learn({ token: 'a', remainingMs: 300 });
    assert.deepEqual(begun, [300]);
    stop();
    settling.learn({ token: 'b', remainingMs: 0 });
    assert.deepEqual(begun, [300]);
  });

  test('never begins where it is switched off', () => {
    const { settling, begun } = watched(0);
    settling.learn({ token: 'a', remainingMs: 0 });
    settling.learn({ token: 'b', remainingMs: 9_000 });
    settling.prolong(9_000);
    assert.deepEqual([settling.remainingMs, begun], [0, []]);
  });
});
