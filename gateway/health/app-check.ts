import type { Agent } from 'node:http';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import { ExchangeFailure, exchange, type FailureKind } from '../exchange/exchange.ts';
import type { CheckResult } from './check-result.ts';

/** The status says all; the rest of an answer is read only so that its connection can be used again. */
const MAX_BODY_BYTES = 64 * 1024;

const CODES = {
  refused: 'CONNECT_FAILED',
  unreachable: 'CONNECT_FAILED',
  late: 'BACKEND_TIMEOUT',
  broken: 'BACKEND_RESET',
  nonsense: 'BACKEND_INVALID',
} as const satisfies Record<FailureKind, ErrorCode>;

export interface CheckOptions {
  readonly agent: Agent;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /**
   * A request has just failed. The check then takes a connection of its own, because one that is kept alive proves nothing
   * about new ones, and if it is refused as well there is nothing left to wait for: nobody listens.
   */
  readonly prompted: boolean;
}

/** Asks the app server whether it is well: 2xx and 3xx are good, and redirects are not followed. */
export async function checkApp(backend: Backend, path: string, options: CheckOptions): Promise<CheckResult> {
  try {
    const { status } = await exchange({
      url: new URL(path, backend.url),
      method: 'GET',
      headers: { 'user-agent': 'stickshift-health' },
      agent: options.prompted ? false : options.agent,
      timeoutMs: options.timeoutMs,
      maxBytes: MAX_BODY_BYTES,
      overlong: 'is-cut',
      signal: options.signal,
    });
    if (status >= 200 && status < 400) return { good: true };
    return { good: false, code: 'BACKEND_INVALID', reason: `${path} answers ${status}`, certain: false };
  } catch (error) {
    if (!(error instanceof ExchangeFailure)) throw error;
    const certain = error.kind === 'refused' && options.prompted;
    return { good: false, code: CODES[error.kind], reason: error.message, certain };
  }
}
