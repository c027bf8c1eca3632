import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CheckReport, formatTable, passed, spread } from './report.ts';

const GOOD: CheckReport = {
  sessions: 60,
  kept: 60,
  lost: 0,
  errors5xx: 2,
  connectionErrors: 0,
  requests: 900,
  items: { acknowledged: 700, refused: 0, indeterminate: 2 },
  takeoverMs: spread([5, 1, 3]),
  drainMs: spread([2, 4]),
  drainTotalMs: 40,
  killed: 'app-2',
  drained: 'app-1',
  newcomers: { sessions: 20, kept: 20, onReturnedServer: 9 },
  problems: [],
};

describe('the check’s report', () => {
  test('has the median and the largest of what was measured', () => {
    assert.deepEqual(spread([5, 1, 3.06]), { p50: 3.1, max: 5, sessions: 3 });
    assert.deepEqual(spread([]), { p50: 0, max: 0, sessions: 0 });
  });

  test('passes with errors that cost nothing, and fails for a lost cart or any other problem', () => {
    assert.equal(passed(GOOD), true);
    assert.equal(passed({ ...GOOD, kept: 59, lost: 1 }), false);
    assert.equal(passed({ ...GOOD, problems: ['no new client was given to app-2 after its return'] }), false);
  });

  test('shows every problem below its table', () => {
    const text = formatTable({ ...GOOD, problems: ['client-7: client-7-3 is missing'] });
    assert.match(text, /carts +60: 60 kept, 0 lost/);
    assert.match(text, /✗ client-7: client-7-3 is missing$/);
  });
});
