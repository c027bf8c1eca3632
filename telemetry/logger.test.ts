import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { StickshiftError } from '../protocol/errors.ts';
import { createLogger, logLevelFrom } from './logger.ts';

/** A logger and the lines that it wrote. */
function recorded(options: Omit<Parameters<typeof createLogger>[0], 'role' | 'destination'> = {}) {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { logger: createLogger({ role: 'gateway', ...options, destination }), lines };
}

describe('a log line', () => {
  test('is JSON with time, level as a word, role and name', () => {
    const { logger, lines } = recorded({ name: 'app-1' });
    logger.info({ backend: 'app-2' }, 'hello');
    const [{ time, ...line } = {}] = lines;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual(line, {
      level: 'info',
      role: 'gateway',
      name: 'app-1',
      backend: 'app-2',
      msg: 'hello',
    });
  });

  test('is left out below the level', () => {
    const { logger, lines } = recorded({ level: 'warn' });
    logger.info('no');
    logger.warn('yes');
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['yes'],
    );
  });

  test('never holds a secret of a configuration or a request that was logged', () => {
    const { logger, lines } = recorded();
    logger.info({
      secret: 'hunter2',
      authorization: 'hunter2',
      config: {
        secret: 'hunter2',
        gateway: { affinity: { keys: ['hunter2'] }, admin: { token: 'hunter2' } },
      },
      request: { headers: { cookie: 'hunter2', authorization: 'hunter2', 'set-cookie': ['hunter2'] } },
    });
    assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  });

  test('tells code and causes of an error that was foreseen, without a stack', () => {
    const { logger, lines } = recorded();
    const cause = new Error('connect ECONNREFUSED', { cause: new Error('no route') });
    logger.error({ err: new StickshiftError('STORE_UNREACHABLE', 'no store', { cause }) }, 'failed');
    assert.deepEqual(lines[0]?.err, {
      code: 'STORE_UNREACHABLE',
      message: 'no store',
      causes: ['connect ECONNREFUSED', 'no route'],
    });
  });

  test('tells the stack of an error that nobody foresaw', () => {
    const { logger, lines } = recorded();
    logger.error(new TypeError('oh'));
    logger.error({ err: new StickshiftError('INTERNAL', 'oh', { cause: new TypeError('ah') }) }, 'failed');
    for (const line of lines) assert.match((line.err as { stack: string }).stack, /logger\.test\.ts/);
  });

  test('may hold an error that goes round in a circle', () => {
    const { logger, lines } = recorded();
    const error = new StickshiftError('STORE_UNREACHABLE', 'no store');
    const cause = new Error('because', { cause: error });
    error.cause = cause;
    logger.error({ err: error }, 'failed');
    assert.partialDeepStrictEqual(lines[0], { err: { code: 'STORE_UNREACHABLE' } });
  });
});

describe('a log line within a trace', () => {
  before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
  after(() => context.disable());

  test('carries trace and span', async () => {
    const { logger, lines } = recorded();
    const spanContext = {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: 1,
    };
    await context.with(trace.setSpanContext(context.active(), spanContext), async () => {
      await Promise.resolve();
      logger.info('inside');
    });
    logger.info('outside');
    assert.equal(lines[0]?.trace_id, spanContext.traceId);
    assert.equal(lines[0]?.span_id, spanContext.spanId);
    assert.equal(lines[1]?.trace_id, undefined);
  });
});

describe('the log level', () => {
  test('is info unless STICKSHIFT_LOG_LEVEL says otherwise', () => {
    assert.equal(logLevelFrom({}), 'info');
    assert.equal(logLevelFrom({ STICKSHIFT_LOG_LEVEL: '' }), 'info');
    assert.equal(logLevelFrom({ STICKSHIFT_LOG_LEVEL: 'silent' }), 'silent');
  });

  test('that does not exist is a configuration error', () => {
    assert.throws(
      () => logLevelFrom({ STICKSHIFT_LOG_LEVEL: 'loud' }),
      (error) =>
        error instanceof StickshiftError && error.code === 'CONFIG_INVALID' && /loud/.test(error.message),
    );
  });
});
