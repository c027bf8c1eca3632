import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { metrics } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { METRIC } from '../../protocol/telemetry-names.ts';
import { eventually } from '../testing/eventually.ts';
import { ManualReader } from '../testing/manual-reader.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { testCertificate } from '../testing/test-certificate.ts';
import { publishExpiry } from './certificate-expiry-gauge.ts';
import { Certificates } from './certificates.ts';

const DAY_MS = 86_400_000;

let directory: string;
const reader = new ManualReader();
const provider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(provider);
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stickshift-expiry-'));
});
after(async () => {
  await provider.shutdown();
  await rm(directory, { recursive: true });
});

/** Days left, begun ones counted, by label. */
async function observed(): Promise<(readonly [certificate: unknown, days: number])[]> {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .filter(({ descriptor }) => descriptor.name === METRIC.certificateLeft)
    .flatMap(({ dataPoints }) =>
      dataPoints.map(({ attributes, value }) => [attributes.certificate, Math.ceil(Number(value) / DAY_MS)]),
    );
}

test('each certificate has its time left shown under its file, and so has the one that takes its place', async (t) => {
  const [cert, key] = [join(directory, 'one.crt'), join(directory, 'one.key')];
  const [expired, itsKey] = [join(directory, 'old.crt'), join(directory, 'old.key')];
  const old = testCertificate({ names: [], from: -9, until: -2 });
  await writeFile(expired, old.cert);
  await writeFile(itsKey, old.key);
  const put = async (names: readonly string[], until: number) => {
    const made = testCertificate({ names, until });
    await writeFile(cert, made.cert);
    await writeFile(key, made.key);
  };
  await put(['one.example'], 5);
  const certificates = await Certificates.load({
    tls: {
      certificates: [
        { cert, key },
        { cert: expired, key: itsKey },
      ],
      minVersion: 'TLSv1.2',
    },
    logger: recordedLog().logger,
    settleMs: 20,
    pollMs: 50,
  });
  t.after(() => certificates.close());
  publishExpiry(() => certificates.status);
  assert.deepEqual(await observed(), [
    [cert, 5],
    [expired, -2],
  ]);
  const before = certificates.default;
  await put(['other.example'], 90);
  await eventually(() => certificates.default !== before, 'it is reloaded');
  assert.deepEqual(await observed(), [
    [cert, 90],
    [expired, -2],
  ]);
});
