import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { metrics } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { METRIC } from '../protocol/telemetry-names.ts';
import { GatewayCounters } from './counters.ts';
import { publishMetrics } from './metrics.ts';
import { sessionIdReader } from './session-id/session-id-reader.ts';
import { ManualReader } from './testing/manual-reader.ts';
import { backendOf, testPool } from './testing/test-pool.ts';

const reader = new ManualReader();
const provider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(provider);
after(() => provider.shutdown());

async function observed(name: string): Promise<{ attributes: object; value: unknown }[]> {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ attributes, value })));
}

test('metrics are what the counters say when somebody asks', async () => {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const counters = new GatewayCounters();
  const sessionIds = sessionIdReader(pool.config.session);
  const figures = { counters, oddSessionIds: { shop: sessionIds.counts }, webSockets: 0 };
  const world = { isStoreUp: true };
  publishMetrics({ figures }, [pool], () => world.isStoreUp);

  counters.routed.bound += 2;
  counters.moves.takeover += 1;
  counters.takeovers.possiblyLost += 1;
  counters.held.atRisk += 4;
  counters.countError('SESSION_UNKNOWN');
  backendOf(pool, 'app-2').inFlight += 3;
  sessionIds.fromRequest('/', { cookie: 'sid=a; sid=b' });
  sessionIds.fromRequest('/', { cookie: 'sid=in%20valid' });
  sessionIds.fromRequest('/', { cookie: `sid=${'x'.repeat(600)}` });

  assert.deepEqual(await observed(METRIC.requests), [
    { attributes: { route: 'bound' }, value: 2 },
    { attributes: { route: 'balanced' }, value: 0 },
    { attributes: { route: 'placed' }, value: 0 },
  ]);
  const takeovers = (await observed(METRIC.moves)).find(
    ({ attributes }) => 'reason' in attributes && attributes.reason === 'takeover',
  );
  assert.equal(takeovers?.value, 1);
  assert.deepEqual(await observed(METRIC.takeovers), [
    { attributes: { outcome: 'clean' }, value: 0 },
    { attributes: { outcome: 'possiblyLost' }, value: 1 },
    { attributes: { outcome: 'tooOld' }, value: 0 },
  ]);
  const atRisk = (await observed(METRIC.held)).find(
    ({ attributes }) => 'outcome' in attributes && attributes.outcome === 'atRisk',
  );
  assert.equal(atRisk?.value, 4);
  assert.deepEqual(await observed(METRIC.errors), [{ attributes: { code: 'SESSION_UNKNOWN' }, value: 1 }]);
  assert.deepEqual(await observed(METRIC.inFlight), [
    { attributes: { pool: 'shop', backend: 'app-1' }, value: 0 },
    { attributes: { pool: 'shop', backend: 'app-2' }, value: 3 },
  ]);
  assert.deepEqual(await observed(METRIC.storeUp), [{ attributes: {}, value: 1 }]);
  world.isStoreUp = false;
  assert.deepEqual(await observed(METRIC.storeUp), [{ attributes: {}, value: 0 }]);
  assert.deepEqual(await observed(METRIC.workers), [{ attributes: {}, value: 1 }]);
  assert.deepEqual(await observed(METRIC.oddSessionIds), [
    { attributes: { pool: 'shop', reason: 'oversized' }, value: 1 },
    { attributes: { pool: 'shop', reason: 'malformed' }, value: 1 },
    { attributes: { pool: 'shop', reason: 'ambiguous' }, value: 1 },
  ]);
});
