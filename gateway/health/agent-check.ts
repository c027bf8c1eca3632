import { AGENT_API } from '../../protocol/agent-api.ts';
import { agentReadiness } from '../agent-client/agent-answers.ts';
import { AGENT_FAILURE_CODES } from '../agent-client/call-errors.ts';
import type { Backend } from '../backends/backend.ts';
import { ExchangeFailure, exchange } from '../exchange/exchange.ts';
import { parseJson } from '../exchange/parse-json.ts';
import type { CheckOptions } from './app-check.ts';
import type { BadCheck, CheckResult } from './check-result.ts';

const MAX_ANSWER_BYTES = 16 * 1024;

/** Asks the agent whether it is ready, and whether it is the agent of this backend and this application at all. */
export async function checkAgent(
  backend: Backend,
  application: string,
  token: string,
  options: CheckOptions,
): Promise<CheckResult> {
  let answer: { status: number; body: string };
  try {
    answer = await exchange({
      url: new URL(AGENT_API.ready, backend.agentUrl),
      method: 'GET',
      // Readiness is open to everybody, but who brings a token learns whether it is the right one.
      headers: { authorization: `Bearer ${token}`, 'user-agent': 'stickshift-health' },
      agent: options.prompted ? false : options.agent,
      timeoutMs: options.timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      overlong: 'fails',
      signal: options.signal,
    });
  } catch (error) {
    if (!(error instanceof ExchangeFailure)) throw error;
    const certain = error.kind === 'refused' && options.prompted;
    return { good: false, code: AGENT_FAILURE_CODES[error.kind], reason: error.message, certain };
  }
  if (answer.status === 401) {
    // Nothing could be committed there, and no session rehydrated.
    return bad('AGENT_INVALID', 'it refuses the token; do gateway and agent have the same secret?', true);
  }
  const readiness = agentReadiness.safeParse(parseJson(answer.body));
  if (!readiness.success) return bad('AGENT_INVALID', `status ${answer.status} without a readiness`);
  const { ready, reason, incarnation } = readiness.data;
  if (readiness.data.backend !== backend.id || readiness.data.application !== application) {
    const claim = `${readiness.data.application}/${readiness.data.backend}`;
    // Wrong wiring, not a passing trouble: sessions committed there would belong to somebody else.
    return bad('AGENT_MISMATCH', `it serves ${claim}, not ${application}/${backend.id}`, true);
  }
  if (answer.status === 200 && ready) return { good: true, incarnation };
  // Its own word, so there is nothing to make sure of. An agent that is not ready may hold sessions that it does not own.
  return bad('AGENT_NOT_READY', `not ready: ${reason ?? `status ${answer.status}`}`, true);
}

function bad(code: BadCheck['code'], reason: string, certain = false): BadCheck {
  return { good: false, code, reason, certain };
}
