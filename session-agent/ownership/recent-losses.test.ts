import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentLosses } from './recent-losses.ts';

test('a loss is remembered until the session is back', () => {
  const losses = new RecentLosses();
  losses.note('alice', 'fenced');
  assert.equal(losses.get('alice'), 'fenced');
  losses.clear('alice');
  assert.equal(losses.get('alice'), undefined);
});

test('a loss is forgotten after two minutes', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const losses = new RecentLosses();
  losses.note('alice', 'ended');
  now = 119_999;
  assert.equal(losses.get('alice'), 'ended');
  now = 120_000;
  assert.equal(losses.get('alice'), undefined);
});

test('of too many losses the oldest are forgotten', () => {
  const losses = new RecentLosses();
  for (let number = 0; number <= 10_000; number++) losses.note(String(number), 'fenced');
  assert.equal(losses.get('0'), undefined);
  assert.equal(losses.get('1'), 'fenced');
  assert.equal(losses.get('10000'), 'fenced');
});
