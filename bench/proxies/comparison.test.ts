import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changes, comparisonReport } from './comparison.ts';

describe('a run beside one that was stored', () => {
  test('says of every figure that both have what has changed, and whether for the worse', () => {
    const before = {
      'requests.perSecond': { 'stickshift-fast': 1000, caddy: 10 },
      'requests.cpuMicros': { 'stickshift-fast': 40 },
    };
    const now = {
      'requests.perSecond': { 'stickshift-fast': 900, nginx: 20 },
      'requests.cpuMicros': { 'stickshift-fast': 30 },
    };
    assert.deepEqual(
      changes(before, now).map(({ figure, proxy, percent, worse }) => [
        figure,
        proxy,
        Math.round(percent),
        worse,
      ]),
      [
        ['requests.perSecond', 'stickshift-fast', -10, true],
        ['requests.cpuMicros', 'stickshift-fast', -25, false],
      ],
    );
  });

  test('says so when it was another machine', () => {
    const run = { machine: { cores: 2 }, options: {}, medians: {} };
    assert.doesNotMatch(comparisonReport(run, run, 'a.json'), /CARE/);
    assert.match(
      comparisonReport(run, { ...run, machine: { cores: 4 } }, 'a.json'),
      /machine were {"cores":2}/,
    );
  });
});
