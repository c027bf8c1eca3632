import { metrics } from '@opentelemetry/api';
import { METRIC } from '../../protocol/telemetry-names.ts';
import type { CertificateStatus } from '../admin-api/admin-api-types.ts';

/**
 * Publishes how long each certificate is still good, milliseconds, negative when it has expired.
 *
 * @param served - those that are served now
 */
export function publishExpiry(
  served: () => readonly Pick<CertificateStatus, 'certificate' | 'expiresAt'>[],
): void {
  const gauge = metrics.getMeter('stickshift').createObservableGauge(METRIC.certificateLeft, {
    description: 'Until a certificate expires, milliseconds',
  });
  gauge.addCallback((result) => {
    const now = Date.now();
    // By file, not by name: a renewed one may have other names, and the series of the old would stay, close to its end.
    for (const { certificate, expiresAt } of served()) result.observe(expiresAt - now, { certificate });
  });
}
