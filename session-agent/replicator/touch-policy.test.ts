import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTouchDue, isTouchOverdue } from './touch-policy.ts';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function due(lifetimeMs: number, movedMs: number): boolean {
  return isTouchDue({ idleAt: NOW + lifetimeMs, storedIdleAt: NOW + lifetimeMs - movedMs }, NOW);
}

test('a deadline moved by less than 5 % of the time left is not written', () => {
  assert.equal(due(DAY, 70 * MINUTE), false);
  assert.equal(due(DAY, 73 * MINUTE), true);
});

test('a deadline moved by less than 30 s is not written', () => {
  assert.equal(due(2 * MINUTE, 29_000), false);
  assert.equal(due(2 * MINUTE, 30_000), true);
});

test('a deadline that the app brought forward is written at once', () => {
  assert.equal(due(DAY, -1), true);
});

test('an unmoved deadline is not written', () => {
  assert.equal(due(DAY, 0), false);
  assert.equal(due(1_000, 0), false);
});

test('a session used before half of its lifetime is over never expires in the store', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 30 * DAY }),
      fc.array(fc.double({ min: 0, max: 0.49, noNaN: true }), { maxLength: 200 }),
      (lifetimeMs, pauses) => {
        let now = NOW;
        let storedIdleAt = now + lifetimeMs;
        for (const pause of pauses) {
          now += pause * lifetimeMs;
          assert.ok(storedIdleAt > now, 'the store let a session expire that is in use');
          const idleAt = now + lifetimeMs;
          if (isTouchDue({ idleAt, storedIdleAt }, now)) storedIdleAt = idleAt;
        }
      },
    ),
  );
});

test('a stored deadline that is about to pass is overdue, unless the app’s is the same', () => {
  assert.equal(isTouchOverdue({ idleAt: NOW + DAY, storedIdleAt: NOW + 1_000 }, NOW, MINUTE), true);
  assert.equal(isTouchOverdue({ idleAt: NOW + DAY, storedIdleAt: NOW + DAY - 1 }, NOW, MINUTE), false);
  assert.equal(isTouchOverdue({ idleAt: NOW + 1_000, storedIdleAt: NOW + 1_000 }, NOW, MINUTE), false);
});
