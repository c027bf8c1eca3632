import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenRequests } from './broken-requests.ts';

test('a request that broke off is remembered for a minute', () => {
  const broken = new BrokenRequests();
  broken.add('shop a', 0);
  assert.deepEqual([broken.mayInclude('shop a', 59_999), broken.mayInclude('shop a', 60_000)], [true, false]);
  assert.equal(broken.mayInclude('shop b', 0), false);
});

test('the last of several counts', () => {
  const broken = new BrokenRequests();
  broken.add('shop a', 0);
  broken.add('shop b', 10_000);
  broken.add('shop a', 20_000);
  assert.deepEqual([broken.mayInclude('shop a', 79_000), broken.mayInclude('shop b', 79_000)], [true, false]);
});

test('when more broke off than can be remembered, it may have been one of any session', () => {
  const broken = new BrokenRequests(2);
  for (const [at, ref] of ['shop a', 'shop b', 'shop c'].entries()) broken.add(ref, at);
  const remembers = (now: number) => ['shop a', 'shop b', 'shop d'].map((ref) => broken.mayInclude(ref, now));
  assert.deepEqual(remembers(59_999), [true, true, true]);
  assert.deepEqual(remembers(60_000), [false, true, false]);
});

test('what is too old to be asked for is not what is forgotten', () => {
  const broken = new BrokenRequests(2);
  broken.add('shop a', 0);
  broken.add('shop b', 1);
  broken.add('shop c', 60_001);
  broken.add('shop d', 60_001);
  assert.equal(broken.mayInclude('shop e', 60_002), false);
});
