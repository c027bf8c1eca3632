import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Medians } from './figures.ts';
import { judgeProxies } from './targets.ts';

const measured = (medians: Medians) => judgeProxies(medians).map(({ measured, met }) => [measured, met]);

describe('the targets of the gateway beside other proxies', () => {
  test('that nothing was measured for, or that have nothing to be compared with, are left out', () => {
    assert.deepEqual(measured({}), []);
    assert.deepEqual(measured({ 'requests.cpuMicros': { 'stickshift-fast': 20 } }), []);
  });

  test('are met at the very limit', () => {
    const cpu = { haproxy: 20, 'stickshift-fast': 20, 'http-proxy-3': 50, 'stickshift-full': 65 };
    assert.deepEqual(measured({ 'requests.cpuMicros': cpu }), [
      ['1.00×', true],
      ['1.30×', true],
    ]);
    assert.deepEqual(measured({ 'latency.p99Millis': { haproxy: 4, 'stickshift-fast': 5.1 } }), [
      ['1.27×', false],
    ]);
    assert.deepEqual(measured({ 'idle.kibPerConnection': { 'stickshift-fast': 4 } }), [['4.00 KiB', true]]);
  });

  test('go by the worse direction of large bodies', () => {
    const download = { haproxy: 100, 'stickshift-fast': 120 };
    const upload = { haproxy: 100, 'stickshift-fast': 190 };
    assert.deepEqual(
      measured({
        'bodies.largeDownload.cpuMicrosPerMib': download,
        'bodies.largeUpload.cpuMicrosPerMib': upload,
      }),
      [['1.90×', false]],
    );
  });
});
