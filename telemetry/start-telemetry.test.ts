import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { startTraceCollector } from '../test/services/trace-collector.ts';
import { tracesAreExported } from './start-telemetry.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT_SPAN_ID = 'b7ad6b7169203331';

interface Report {
  readonly tracing: boolean;
  readonly passedOn: { readonly traceparent?: string };
  readonly metricsText: string;
  /** The span was recorded. */
  readonly recorded: boolean;
  /** Packages of OpenTelemetry that were loaded. */
  readonly loaded: readonly string[];
}

async function runTracedProgram(env: NodeJS.ProcessEnv): Promise<{ report: Report; log: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_'));
  const program = join(import.meta.dirname, 'testing', 'traced-program.ts');
  const child = spawn(process.execPath, [program], { env: { ...Object.fromEntries(inherited), ...env } });
  const [output, log] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.notEqual(output, '', log);
  return { report: JSON.parse(output), log };
}

describe('telemetry with an exporter in the environment', () => {
  test('delivers a span that continues the client’s trace, before the process ends', async () => {
    await using collector = await startTraceCollector();
    const { report } = await runTracedProgram({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    });
    assert.equal(report.tracing, true);
    assert.equal(collector.spans.length, 1);
    const [span] = collector.spans;
    assert.equal(span?.name, 'session.handoff');
    assert.equal(span?.service, 'stickshift-test');
    assert.equal(span?.traceId, TRACE_ID);
    assert.equal(span?.parentSpanId, PARENT_SPAN_ID);
    assert.match(
      report.passedOn.traceparent ?? '',
      new RegExp(`^00-${TRACE_ID}-(?!${PARENT_SPAN_ID})[0-9a-f]{16}-01$`),
    );
    // Metrics are scraped, logs are written: nothing else may go out unasked.
    assert.deepEqual([...collector.paths], ['/v1/traces']);
    assert.match(report.metricsText, /^stickshift_test_things_total\{kind="good"\} 3$/m);
  });

  test('lets OTEL_SERVICE_NAME name the service and the sampler leave spans out', async () => {
    await using collector = await startTraceCollector();
    const env = {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    };
    await runTracedProgram({ ...env, OTEL_SERVICE_NAME: 'mine' });
    assert.deepEqual(
      collector.spans.map(({ service }) => service),
      ['mine'],
    );
    await runTracedProgram({ ...env, OTEL_TRACES_SAMPLER: 'always_off' });
    assert.equal(collector.spans.length, 1);
  });

  test('records a move whatever the ratio of requests that are recorded', async () => {
    await using collector = await startTraceCollector();
    const { report } = await runTracedProgram({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0',
    });
    assert.equal(report.recorded, true);
    assert.deepEqual(
      collector.spans.map(({ name }) => name),
      ['session.handoff'],
    );
  });

  test('logs that a collector cannot be reached, and ends all the same', async () => {
    const { report, log } = await runTracedProgram({
      // Nothing listens on the discard port; the exporter gives up after this long.
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    assert.equal(report.tracing, true);
    assert.match(log, /"level":"warn".*ECONNREFUSED/);
  });
});

describe('telemetry without an exporter', () => {
  test('serves metrics, names the service in them, and passes the client’s trace on', async () => {
    const { report } = await runTracedProgram({});
    assert.equal(report.tracing, false);
    assert.equal(report.passedOn.traceparent, `00-${TRACE_ID}-${PARENT_SPAN_ID}-01`);
    assert.match(report.metricsText, /^stickshift_test_things_total\{kind="good"\} 3$/m);
    assert.match(
      report.metricsText,
      /^target_info\{service_name="stickshift-test",service_instance_id="instance-1"/m,
    );
  });

  test('records nothing and loads nothing that could', async () => {
    const { report } = await runTracedProgram({});
    assert.equal(report.recorded, false);
    assert.ok(report.loaded.includes('sdk-metrics'), 'the program sees what is loaded');
    assert.deepEqual(
      report.loaded.filter((name) => /^sdk-(node|trace|logs)|^exporter-(?!prometheus)|^otlp/.test(name)),
      [],
    );
  });

  test('is what there is unless the environment asks for an exporter', () => {
    assert.equal(tracesAreExported({}), false);
    assert.equal(
      tracesAreExported({ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }),
      false,
    );
    assert.equal(tracesAreExported({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }), false);
    assert.equal(tracesAreExported({ OTEL_SDK_DISABLED: 'true', OTEL_TRACES_EXPORTER: 'otlp' }), false);
    assert.equal(tracesAreExported({ OTEL_TRACES_EXPORTER: 'console' }), true);
    assert.equal(tracesAreExported({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }), true);
    assert.equal(tracesAreExported({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c' }), true);
  });
});
