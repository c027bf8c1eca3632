import type { AdoptAnswer } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { Backend } from '../backends/backend.ts';

/**
 * Every change of owner raises the epoch. Who claims to have a session of another without that does not own it, and would
 * serve a copy that nobody can commit.
 *
 * @throws StickshiftError `AGENT_INVALID`
 */
export function assertPlausible(answer: AdoptAnswer, record: RecordSummary, target: Backend): void {
  if (answer.outcome !== 'found') return;
  const least = record.owner === target.id ? record.epoch : record.epoch + 1;
  if (answer.epoch >= least) return;
  throw new StickshiftError(
    'AGENT_INVALID',
    `agent of ${target.id}: it adopted epoch ${answer.epoch} of a session at epoch ${record.epoch}`,
  );
}

/** Why an adopt failed says something about the backend and nothing about the session: another may have more luck. */
export function isBackendsTrouble(code: string): boolean {
  return code === 'SOURCE_FAILED' || code === 'SESSION_UNPROTECTED';
}

/** The agent has done nothing, and will be able to in a moment: a release has to end first, or the store to settle. */
export function isPassing(code: string): boolean {
  return code === 'SESSION_MOVING' || code === 'STORE_SETTLING';
}

/**
 * For whoever has waited for something passing in vain.
 *
 * @param settlingMs - how long the store goes on settling, as far as is known here
 */
export function notInTime(code: string, settlingMs: number): StickshiftError {
  if (code === 'STORE_SETTLING') {
    const retryAfterMs = settlingMs > 0 ? settlingMs : undefined;
    return new StickshiftError('SESSION_UNKNOWN', 'the store is settling', { retryAfterMs });
  }
  return new StickshiftError('SESSION_MOVING', 'the session’s release waits for requests that are under way');
}
