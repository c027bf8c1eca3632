import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { context, DiagLogLevel, diag, metrics, propagation } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { Logger } from 'pino';

export interface TelemetryOptions {
  /** `service.name`, unless `OTEL_SERVICE_NAME` says otherwise. */
  readonly serviceName: string;
  /** `service.instance.id`. */
  readonly instanceId: string;
  readonly version: string;
  /** Whose `OTEL_…` variables decide. The SDK itself reads those of the process. */
  readonly env: NodeJS.ProcessEnv;
  /** Learns what goes wrong inside OpenTelemetry, such as spans that cannot be exported. */
  readonly logger: Logger;
}

export interface Telemetry {
  /** Answers with all metrics in Prometheus' text format. */
  metricsHandler(request: IncomingMessage, response: ServerResponse): void;
  /** Spans are exported. */
  readonly tracing: boolean;
  /** Exports what is still waiting. Never rejects; what could not be exported is logged. */
  shutdown(): Promise<void>;
}

/**
 * Metrics are always there for whoever asks. Spans are exported only when the environment names an exporter; without
 * one the SDK is not even loaded, and trace context is still read, logged and passed on, so that Stickshift never
 * breaks the trace of a client and an app that have one.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { logger, env } = options;
  const resource = describeService(options);
  const tracing = tracesAreExported(env);
  const stopTracing = tracing ? await startTracing(resource, options) : passTraceContextOn();
  // After the SDK, which sets a logger of its own when OTEL_LOG_LEVEL is set.
  diag.setLogger(asDiagLogger(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });

  const exporter = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true });
  const meterProvider = new MeterProvider({ resource, readers: [exporter] });
  metrics.setGlobalMeterProvider(meterProvider);

  return {
    tracing,
    metricsHandler: (request, response) => exporter.getMetricsRequestHandler(request, response),
    async shutdown() {
      const results = await Promise.allSettled([stopTracing(), meterProvider.shutdown()]);
      for (const result of results) {
        if (result.status === 'rejected')
          logger.warn({ err: result.reason }, 'telemetry was lost at the end');
      }
    },
  };
}

/** True when the environment asks for an exporter of spans. The SDK's own default, a collector on localhost, is nobody's wish. */
export function tracesAreExported(env: NodeJS.ProcessEnv): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false;
  const exporter = env.OTEL_TRACES_EXPORTER?.trim();
  if (exporter) return exporter !== 'none';
  return Boolean(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT);
}

async function startTracing(
  resource: Resource,
  { env, logger }: TelemetryOptions,
): Promise<() => Promise<void>> {
  // Half a second of loading that nobody should wait for in vain.
  const [{ NodeSDK }, { samplerFrom }] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('./moves-sampler.ts'),
  ]);
  const sdk = new NodeSDK({
    resource,
    sampler: samplerFrom(env, logger),
    // The default ones put the command line into every span.
    autoDetectResources: false,
    // Left out, each of these starts an exporter to localhost.
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return () => sdk.shutdown();
}

function passTraceContextOn(): () => Promise<void> {
  const manager = new AsyncLocalStorageContextManager();
  context.setGlobalContextManager(manager.enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return () => Promise.resolve();
}

function describeService({ serviceName, instanceId, version }: TelemetryOptions): Resource {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': serviceName,
        'service.instance.id': instanceId,
        'service.version': version,
        'host.name': hostname(),
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}

function asDiagLogger(logger: Logger) {
  const log =
    (level: 'error' | 'warn' | 'info' | 'debug' | 'trace') =>
    (message: string, ...details: unknown[]) =>
      logger[level]({ component: 'opentelemetry', ...(details.length > 0 ? { details } : {}) }, message);
  return {
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: log('debug'),
    verbose: log('trace'),
  };
}
