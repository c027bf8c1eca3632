import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closest, didYouMean } from './closest.ts';

const KEYS = ['listen', 'timeouts', 'limits', 'firstByte', 'hold'];

test('a slip of the finger finds its word', () => {
  for (const [typed, meant] of [
    ['lisen', 'listen'],
    ['lsiten', 'listen'],
    ['timeout', 'timeouts'],
    ['first_byte', 'firstByte'],
    ['HOLD', 'hold'],
  ] as const) {
    assert.equal(closest(typed, KEYS), meant);
  }
});

test('another word finds none', () => {
  assert.equal(closest('bicycle', KEYS), undefined);
  assert.equal(didYouMean('bicycle', KEYS), '');
});

test('a word that is there is its own closest', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, selector: (s) => s.toLowerCase() }),
      (words) => {
        for (const word of words) assert.equal(closest(word, words), word);
      },
    ),
  );
});
