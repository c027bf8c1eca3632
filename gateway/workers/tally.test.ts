import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sumOf, type Tally } from './tally.ts';

test('a sum has what each of its parts has, name by name', () => {
  const sum = sumOf([
    { requests: { bound: 1, placed: 2 }, aborts: 3 },
    { requests: { bound: 4 }, errors: { NO_BACKEND: 5 }, aborts: 6 },
    {},
  ]);
  assert.deepEqual(sum, { requests: { bound: 5, placed: 2 }, errors: { NO_BACKEND: 5 }, aborts: 9 });
});

test('it does not matter in which order, or in which groups, parts are summed', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const tally: fc.Arbitrary<Tally> = fc.record({
    plain: fc.dictionary(name, fc.nat()),
    nested: fc.dictionary(name, fc.dictionary(name, fc.nat())),
  });
  fc.assert(
    fc.property(fc.array(tally), fc.array(tally), (some, others) => {
      const atOnce = sumOf([...some, ...others]);
      assert.deepEqual(sumOf([sumOf(others), sumOf(some)]), atOnce);
    }),
  );
});
