import { ERROR_KINDS, type ErrorCode, StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { ExchangeAnswer, ExchangeFailure, FailureKind } from '../exchange/exchange.ts';
import { parseJson } from '../exchange/parse-json.ts';
import { apiErrorBody } from './agent-answers.ts';

/** Error codes of exchanges with an agent. */
export const AGENT_FAILURE_CODES = {
  refused: 'AGENT_UNREACHABLE',
  unreachable: 'AGENT_UNREACHABLE',
  late: 'AGENT_NO_ANSWER',
  broken: 'AGENT_NO_ANSWER',
  nonsense: 'AGENT_INVALID',
} as const satisfies Record<FailureKind, ErrorCode>;

/** A call that got no usable answer, by whether it may have had an effect. */
export function noAnswer(backend: Backend, failure: ExchangeFailure): StickshiftError {
  const message = `agent of ${backend.id} at ${backend.agentUrl.host}: ${failure.message}`;
  return new StickshiftError(AGENT_FAILURE_CODES[failure.kind], message, { cause: failure });
}

/** An answer that is not what the protocol says. */
export function invalidAnswer(backend: Backend, what: string): StickshiftError {
  return new StickshiftError('AGENT_INVALID', `agent of ${backend.id} at ${backend.agentUrl.host}: ${what}`);
}

/**
 * An answer that is not 2xx. Codes about agent and store are passed on; what the agent holds against the caller (a wrong
 * token, a malformed body) is our fault or its own, never that of the client whose request led to the call.
 */
export function refusal(backend: Backend, answer: ExchangeAnswer): StickshiftError {
  const parsed = apiErrorBody.safeParse(parseJson(answer.body));
  if (!parsed.success) return invalidAnswer(backend, `status ${answer.status} without an error body`);
  const { code, message } = parsed.data.error;
  if (isPassedOn(code)) return new StickshiftError(code, `agent of ${backend.id}: ${message}`);
  if (code === 'UNAUTHORIZED') {
    return invalidAnswer(backend, 'it refuses the token; do gateway and agent have the same secret?');
  }
  return invalidAnswer(backend, `status ${answer.status} ${code}: ${message}`);
}

function isPassedOn(code: string): code is ErrorCode {
  if (!Object.hasOwn(ERROR_KINDS, code)) return false;
  const { source } = ERROR_KINDS[code as ErrorCode];
  return source === 'agent' || source === 'store';
}
