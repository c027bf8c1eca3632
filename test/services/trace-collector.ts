import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A span as a collector has it. */
export interface CollectedSpan {
  /** `service.name` of the process that made it. */
  readonly service: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a span without a parent. */
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** What the span says of its failure; undefined when it did not fail. */
  readonly error: string | undefined;
  /** Span IDs of its links. */
  readonly links: readonly string[];
  readonly startedAt: bigint;
  readonly durationMs: number;
}

export interface TraceCollector extends AsyncDisposable {
  readonly url: string;
  /** In the order of their arrival, which is not that of their beginning. */
  readonly spans: readonly CollectedSpan[];
  /** Where anything was sent to. */
  readonly paths: ReadonlySet<string>;
  /** Everything received, as it came. */
  readonly received: string;
}

/** Takes OTLP over HTTP in JSON, as a collector does. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const paths = new Set<string>();
  let received = '';
  const server = createServer(async (request, response) => {
    paths.add(request.url ?? '');
    const body = await text(request);
    received += `${body}\n`;
    spans.push(...readSpans(JSON.parse(body)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    paths,
    get received() {
      return received;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The part of OTLP's JSON that is read here; everything may be left out. */
interface OtlpTraces {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly OtlpAttribute[] };
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[];
  }[];
}

interface OtlpSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly OtlpAttribute[];
  readonly status?: { readonly code?: number; readonly message?: string };
  readonly links?: readonly { readonly spanId: string }[];
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: OtlpValue;
}

interface OtlpValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values?: readonly OtlpValue[] };
}

const KINDS = ['internal', 'internal', 'server', 'client'] as const;
const STATUS_ERROR = 2;

function readSpans({ resourceSpans = [] }: OtlpTraces): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = String(readAttributes(resource?.attributes)['service.name'] ?? '');
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => readSpan(service, span)));
  });
}

function readSpan(service: string, span: OtlpSpan): CollectedSpan {
  const startedAt = BigInt(span.startTimeUnixNano);
  return {
    service,
    name: span.name,
    kind: KINDS[span.kind] ?? 'internal',
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    attributes: readAttributes(span.attributes),
    error: span.status?.code === STATUS_ERROR ? (span.status.message ?? '') : undefined,
    links: (span.links ?? []).map(({ spanId }) => spanId),
    startedAt,
    durationMs: Number(BigInt(span.endTimeUnixNano) - startedAt) / 1e6,
  };
}

function readAttributes(attributes: readonly OtlpAttribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, readValue(value)]));
}

function readValue(value: OtlpValue): unknown {
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(readValue);
  // Integers of 64 bits may come as text.
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.doubleValue ?? value.boolValue;
}
