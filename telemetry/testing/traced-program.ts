/*
 * Run by start-telemetry.test.ts as a process of its own, because the OpenTelemetry SDK takes its settings from the
 * process's environment. Says on standard output, as one line of JSON, what it saw.
 */
import { createServer } from 'node:http';
import { registerHooks } from 'node:module';
import type { AddressInfo } from 'node:net';
import { context, metrics, propagation, trace } from '@opentelemetry/api';

const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    const [, name] = /@opentelemetry\/([^/]+)\//.exec(url) ?? [];
    if (name) loaded.add(name);
    return next(url, context);
  },
});
// Only now, so that the hook sees what they load.
const { createLogger } = await import('../logger.ts');
const { startTelemetry } = await import('../start-telemetry.ts');

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const telemetry = await startTelemetry({
  serviceName: 'stickshift-test',
  instanceId: 'instance-1',
  version: '1.2.3',
  env: process.env,
  logger: createLogger({ role: 'gateway', destination: process.stderr }),
});

const passedOn: Record<string, string> = {};
let recorded = false;
const remote = propagation.extract(context.active(), { traceparent: TRACEPARENT });
await trace.getTracer('test').startActiveSpan('session.handoff', {}, remote, async (span) => {
  await Promise.resolve();
  recorded = span.isRecording();
  propagation.inject(context.active(), passedOn);
  span.end();
});

metrics.getMeter('test').createCounter('stickshift.test.things').add(3, { kind: 'good' });
const server = createServer((request, response) => telemetry.metricsHandler(request, response));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`);
const metricsText = await answer.text();
server.close();
server.closeAllConnections();

await telemetry.shutdown();
const report = { tracing: telemetry.tracing, passedOn, metricsText, recorded, loaded: [...loaded].sort() };
process.stdout.write(`${JSON.stringify(report)}\n`);
