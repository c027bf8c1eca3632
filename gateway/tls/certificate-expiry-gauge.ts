import { metrics, type ObservableResult } from '@opentelemetry/api';
import { METRIC } from '../../protocol/telemetry-names.ts';
import type { Certificate } from './certificate.ts';

/**
 * Publishes how long each certificate is still good, milliseconds, negative when it has expired; returns how to stop that.
 *
 * @param served - those that are served now
 */
export function publishExpiry(served: () => readonly Pick<Certificate, 'file' | 'expiresAt'>[]): () => void {
  const gauge = metrics.getMeter('stickshift').createObservableGauge(METRIC.certificateLeft, {
    description: 'Until a certificate expires, milliseconds',
  });
  const observe = (result: ObservableResult) => {
    const now = Date.now();
    // By file, not by name: a renewed one may have other names, and the series of the old would stay, close to its end.
    for (const { file, expiresAt } of served()) result.observe(expiresAt - now, { certificate: file });
  };
  gauge.addCallback(observe);
  return () => gauge.removeCallback(observe);
}
