import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { tracesAreExported } from './start-telemetry.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT_SPAN_ID = 'b7ad6b7169203331';

interface Report {
  readonly tracing: boolean;
  readonly passedOn: { readonly traceparent?: string };
  readonly metricsText: string;
}

async function runTracedProgram(env: NodeJS.ProcessEnv): Promise<{ report: Report; log: string }> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_'));
  const program = join(import.meta.dirname, 'testing', 'traced-program.ts');
  const child = spawn(process.execPath, [program], { env: { ...Object.fromEntries(inherited), ...env } });
  const [output, log] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.notEqual(output, '', log);
  return { report: JSON.parse(output), log };
}

interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly service: string;
}

/** Takes OTLP over HTTP in JSON, as a collector does. */
async function startCollector(t: TestContext) {
  const spans: ReceivedSpan[] = [];
  const paths = new Set<string>();
  const server = createServer(async (request, response) => {
    paths.add(request.url ?? '');
    const body = JSON.parse(await text(request));
    for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
      const attributes: { key: string; value: { stringValue: string } }[] = resource.attributes;
      const service = attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
      for (const scope of scopeSpans) {
        for (const span of scope.spans) spans.push({ ...span, service });
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, paths };
}

describe('telemetry with an exporter in the environment', () => {
  test('delivers a span that continues the client’s trace, before the process ends', async (t) => {
    const collector = await startCollector(t);
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

  test('lets OTEL_SERVICE_NAME name the service and the sampler leave spans out', async (t) => {
    const collector = await startCollector(t);
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
