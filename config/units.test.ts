import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDuration, parseSize } from './units.ts';

test('a duration is read in milliseconds', () => {
  assert.equal(parseDuration('250ms'), 250);
  assert.equal(parseDuration('30s'), 30_000);
  assert.equal(parseDuration('1.5h'), 5_400_000);
  assert.equal(parseDuration('7d'), 604_800_000);
});

test('a size is read in bytes', () => {
  assert.equal(parseSize('512B'), 512);
  assert.equal(parseSize('16KiB'), 16_384);
  assert.equal(parseSize('1MiB'), 1_048_576);
});

test('nothing without a known unit is read', () => {
  for (const text of ['', '5', 's', '5 s', '-5s', '5sec', '1e3s', '5S', '0x5s', '5s ']) {
    assert.equal(parseDuration(text), undefined, text);
  }
  for (const text of ['', '5', '5KB', '1.5KiB', '-1B', '5 MiB'])
    assert.equal(parseSize(text), undefined, text);
});

test('whatever text there is, it is a whole number of milliseconds or bytes, or nothing', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^\d{1,6}(\.\d{1,3})?(ms|s|m|h|d|B|KiB|GiB)$/));
  fc.assert(
    fc.property(text, (candidate) => {
      for (const value of [parseDuration(candidate), parseSize(candidate)]) {
        assert.ok(value === undefined || (Number.isSafeInteger(value) && value >= 0));
      }
    }),
  );
});
