import { isSpanContextValid, trace } from '@opentelemetry/api';
import {
  type DestinationStream,
  type Logger,
  type LoggerOptions,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino';
import { StickshiftError } from '../protocol/errors.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface CreateLoggerOptions {
  readonly role: 'gateway' | 'agent' | 'demo';
  /** Which agent this is; stands on every line. */
  readonly name?: string;
  /** Default: `info`. */
  readonly level?: LogLevel;
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/**
 * Nobody logs these on purpose; a configuration or a request that is logged by mistake must not give them away. Written out
 * where it goes deeper than one level, because every wildcard costs microseconds on every line.
 */
const SECRET_KEYS = ['secret', 'token', 'keys', 'password', 'authorization', 'cookie'];
const SECRET_PATHS = [
  ...SECRET_KEYS.flatMap((key) => [key, `*.${key}`]),
  '*.headers.authorization',
  '*.headers.cookie',
  '*.headers["set-cookie"]',
  'config.gateway.admin.token',
  'config.gateway.affinity.keys',
  'config.store.encryption.keys',
];

const MOST_CAUSES = 5;

/** JSON lines with the time as ISO 8601, the level as a word, and the trace that was active. */
export function createLogger({ role, name, level = 'info', destination }: CreateLoggerOptions): Logger {
  const options: LoggerOptions = {
    level,
    base: name === undefined ? { role } : { role, name },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    mixin: activeTrace,
    redact: { paths: SECRET_PATHS, censor: '[secret]' },
    serializers: { err: serializeError },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** @throws StickshiftError `CONFIG_INVALID` when `STICKSHIFT_LOG_LEVEL` is no level */
export function logLevelFrom(env: NodeJS.ProcessEnv): LogLevel {
  const wanted = env.STICKSHIFT_LOG_LEVEL || 'info';
  const level = LOG_LEVELS.find((known) => known === wanted);
  if (level) return level;
  throw new StickshiftError(
    'CONFIG_INVALID',
    `STICKSHIFT_LOG_LEVEL  expected one of ${LOG_LEVELS.join(', ')}, got "${wanted}"`,
  );
}

/** An error that was foreseen says all by its code and its causes; three stacks of it would only hide the next line. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof StickshiftError) || error.code === 'INTERNAL') {
    return error instanceof Error ? stdSerializers.errWithCause(error) : error;
  }
  const causes: string[] = [];
  for (let { cause } = error; cause instanceof Error && causes.length < MOST_CAUSES; { cause } = cause) {
    if (cause.message !== error.message) causes.push(cause.message);
  }
  return { code: error.code, message: error.message, ...(causes.length > 0 && { causes }) };
}

function activeTrace(): object {
  const spanContext = trace.getActiveSpan()?.spanContext();
  if (!spanContext || !isSpanContextValid(spanContext)) return {};
  return { trace_id: spanContext.traceId, span_id: spanContext.spanId };
}
