import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { metrics } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { METRIC } from '../../protocol/telemetry-names.ts';
import { ManualReader } from '../testing/manual-reader.ts';
import { testBackend } from '../testing/test-pool.ts';
import { publishBackendUp } from './backend-up-gauge.ts';

const reader = new ManualReader();
const provider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(provider);
after(() => provider.shutdown());

async function observed(): Promise<{ attributes: object; value: unknown }[]> {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .filter(({ descriptor }) => descriptor.name === METRIC.backendUp)
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ attributes, value })));
}

test('each backend is shown as 1 or 0 until publishing stops', async () => {
  const up = testBackend({ id: 'app-1' });
  up.appUp = true;
  up.agentUp = true;
  const stop = publishBackendUp([up, testBackend({ id: 'app-2' })], Date.now);
  assert.deepEqual(await observed(), [
    { attributes: { pool: 'shop', backend: 'app-1' }, value: 1 },
    { attributes: { pool: 'shop', backend: 'app-2' }, value: 0 },
  ]);
  up.ejectedUntil = Date.now() + 60_000;
  assert.equal((await observed())[0]?.value, 0);
  stop();
  up.ejectedUntil = 0;
  assert.notEqual((await observed())[0]?.value, 1);
});
