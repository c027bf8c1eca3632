import { metrics, type ObservableResult } from '@opentelemetry/api';
import { METRIC } from '../../protocol/telemetry-names.ts';
import type { Backend } from '../backends/backend.ts';

/** Publishes whether each backend is up, as 1 or 0; returns how to stop that. */
export function publishBackendUp(backends: readonly Backend[], now: () => number): () => void {
  const gauge = metrics.getMeter('stickshift').createObservableGauge(METRIC.backendUp, {
    description: 'Whether app server and agent are both there and the backend is not ejected',
  });
  const observe = (result: ObservableResult) => {
    const at = now();
    for (const backend of backends) {
      result.observe(backend.isUp(at) ? 1 : 0, { pool: backend.pool, backend: backend.id });
    }
  };
  gauge.addCallback(observe);
  return () => gauge.removeCallback(observe);
}
