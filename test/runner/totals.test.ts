import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addTotals, noTotals, totalsAsText } from './totals.ts';

test('totals of several runs add up, and read like those of one', () => {
  const sum = noTotals();
  addTotals(sum, { ...noTotals(), tests: 3, passed: 2, failed: 1 });
  addTotals(sum, { ...noTotals(), tests: 4, passed: 3, skipped: 1 });
  assert.deepEqual(totalsAsText(sum, 1234.5).split('\n'), [
    'ℹ tests 7',
    'ℹ suites 0',
    'ℹ pass 5',
    'ℹ fail 1',
    'ℹ cancelled 0',
    'ℹ skipped 1',
    'ℹ todo 0',
    'ℹ duration_ms 1235',
  ]);
});
