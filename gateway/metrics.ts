import { metrics, type ObservableCallback } from '@opentelemetry/api';
import { METRIC } from '../protocol/telemetry-names.ts';
import type { Pool } from './backends/pool.ts';
import type { CounterValues } from './counters.ts';
import type { DataPlane } from './data-plane/data-plane.ts';
import { publishExpiry } from './tls/certificate-expiry-gauge.ts';

/** Publishes the gateway's plain counters as OpenTelemetry instruments, read only when somebody collects. */
export function publishMetrics(
  dataPlane: Pick<DataPlane, 'figures'>,
  pools: readonly Pool[],
  isStoreUp: () => boolean,
): void {
  const figures = () => dataPlane.figures;
  const meter = metrics.getMeter('stickshift');
  const counter = (name: string, description: string, observe: ObservableCallback) =>
    meter.createObservableCounter(name, { description }).addCallback(observe);
  const gauge = (name: string, description: string, observe: ObservableCallback) =>
    meter.createObservableGauge(name, { description }).addCallback(observe);
  const total = (name: string, description: string, read: (counters: CounterValues) => number) =>
    counter(name, description, (result) => result.observe(read(figures().counters)));
  const byKind = (
    name: string,
    description: string,
    label: string,
    read: (counters: CounterValues) => Readonly<Record<string, number>>,
  ) =>
    counter(name, description, (result) => {
      for (const [kind, count] of Object.entries(read(figures().counters))) {
        result.observe(count, { [label]: kind });
      }
    });

  byKind(METRIC.requests, 'Requests by how they found their backend', 'route', ({ routed }) => routed);
  byKind(METRIC.lookups, 'Record lookups by what they found', 'outcome', ({ lookups }) => lookups);
  byKind(METRIC.moves, 'Sessions moved, by reason', 'reason', ({ moves }) => moves);
  byKind(METRIC.takeovers, 'Takeovers by what they may have lost', 'outcome', ({ takeovers }) => takeovers);
  byKind(METRIC.held, 'Held answers by what became of them', 'outcome', ({ held }) => held);
  byKind(
    METRIC.answersChecked,
    'Answers that went out only after another look at their session’s record, and those that did not',
    'outcome',
    ({ answersChecked }) => answersChecked,
  );
  byKind(METRIC.retries, 'Requests sent again, by cause', 'cause', ({ retries }) => retries);
  byKind(METRIC.responses, 'Answers by status class', 'class', ({ responses }) => responses);
  byKind(METRIC.errors, 'Errors by code', 'code', ({ errors }) => errors);
  byKind(
    METRIC.affinityRefused,
    'Affinity cookies that were no cookies',
    'reason',
    ({ affinityRefused }) => affinityRefused,
  );
  total(METRIC.holdTime, 'Time that answers were held, summed, milliseconds', ({ holdTimeMs }) =>
    Math.round(holdTimeMs),
  );
  total(METRIC.clientAborts, 'Requests that the client gave up', ({ clientAborts }) => clientAborts);
  total(
    METRIC.unprotectedAnswers,
    'Answers of sessions that cannot be saved',
    ({ unprotected }) => unprotected,
  );
  counter(METRIC.oddSessionIds, 'Values that were no session ID, and requests that named two', (result) => {
    for (const [pool, counts] of Object.entries(figures().oddSessionIds)) {
      for (const [reason, count] of Object.entries(counts)) result.observe(count, { pool, reason });
    }
  });
  gauge(METRIC.storeUp, 'Whether this gateway reaches the store', (result) =>
    result.observe(isStoreUp() ? 1 : 0),
  );
  gauge(METRIC.workers, 'Threads that serve clients', (result) =>
    result.observe(figures().workers?.running ?? 1),
  );
  counter(METRIC.workersLost, 'Workers that have died and were replaced', (result) =>
    result.observe(figures().workers?.lost ?? 0),
  );
  publishExpiry(() => figures().certificates ?? []);
  gauge(METRIC.inFlight, 'Requests, event streams and WebSockets under way', (result) => {
    for (const pool of pools) {
      for (const backend of pool.backends.values()) {
        result.observe(backend.inFlight, { pool: pool.name, backend: backend.id });
      }
    }
  });
}
