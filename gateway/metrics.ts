import { type Meter, metrics } from '@opentelemetry/api';
import { METRIC } from '../protocol/telemetry-names.ts';
import type { Pool } from './backends/pool.ts';
import type { DataPlane } from './data-plane/data-plane.ts';
import { publishExpiry } from './tls/certificate-expiry-gauge.ts';

/** Publishes the gateway's plain counters as OpenTelemetry instruments, read only when somebody collects. */
export function publishMetrics(dataPlane: Pick<DataPlane, 'figures'>, pools: readonly Pool[]): void {
  const figures = () => dataPlane.figures;
  const counters = () => dataPlane.figures.counters;
  const meter = metrics.getMeter('stickshift');
  observe(
    meter,
    METRIC.requests,
    'Requests by how they found their backend',
    'route',
    () => counters().routed,
  );
  observe(meter, METRIC.lookups, 'Record lookups by what they found', 'outcome', () => counters().lookups);
  observe(meter, METRIC.moves, 'Sessions moved, by reason', 'reason', () => counters().moves);
  observe(
    meter,
    METRIC.takeovers,
    'Takeovers by what they may have lost',
    'outcome',
    () => counters().takeovers,
  );
  observe(meter, METRIC.held, 'Held answers by what became of them', 'outcome', () => counters().held);
  observe(
    meter,
    METRIC.answersChecked,
    'Answers that went out only after another look at their session’s record, and those that did not',
    'outcome',
    () => counters().answersChecked,
  );
  observe(meter, METRIC.retries, 'Requests sent again, by cause', 'cause', () => counters().retries);
  observe(meter, METRIC.responses, 'Answers by status class', 'class', () => counters().responses);
  observe(meter, METRIC.errors, 'Errors by code', 'code', () => counters().errors);
  observe(
    meter,
    METRIC.affinityRefused,
    'Affinity cookies that were no cookies',
    'reason',
    () => counters().affinityRefused,
  );
  observe(meter, METRIC.holdTime, 'Time that answers were held, summed, milliseconds', undefined, () => ({
    '': Math.round(counters().holdTimeMs),
  }));
  observe(meter, METRIC.clientAborts, 'Requests that the client gave up', undefined, () => ({
    '': counters().clientAborts,
  }));
  observe(meter, METRIC.unprotectedAnswers, 'Answers of sessions that cannot be saved', undefined, () => ({
    '': counters().unprotected,
  }));
  meter
    .createObservableCounter(METRIC.oddSessionIds, {
      description: 'Values that were no session ID, and requests that named two',
    })
    .addCallback((result) => {
      for (const [pool, counts] of Object.entries(figures().oddSessionIds)) {
        for (const [reason, count] of Object.entries(counts)) result.observe(count, { pool, reason });
      }
    });
  meter
    .createObservableGauge(METRIC.workers, { description: 'Threads that serve clients' })
    .addCallback((result) => result.observe(figures().workers?.running ?? 1));
  observe(meter, METRIC.workersLost, 'Workers that have died and were replaced', undefined, () => ({
    '': figures().workers?.lost ?? 0,
  }));
  publishExpiry(() => figures().certificates ?? []);
  meter
    .createObservableGauge(METRIC.inFlight, {
      description: 'Requests, event streams and WebSockets under way',
    })
    .addCallback((result) => {
      for (const pool of pools) {
        for (const backend of pool.backends.values()) {
          result.observe(backend.inFlight, { pool: pool.name, backend: backend.id });
        }
      }
    });
}

function observe(
  meter: Meter,
  name: string,
  description: string,
  label: string | undefined,
  read: () => Readonly<Record<string, number>>,
): void {
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const [value, count] of Object.entries(read()))
      result.observe(count, label ? { [label]: value } : {});
  });
}
