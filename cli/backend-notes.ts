import type { BackendStatus } from '../gateway/admin-api/admin-api-types.ts';
import { describeDrain } from './drain-report.ts';
import { counted, readableSize } from './readable.ts';

/**
 * What the status table has no room for and somebody has to know, a line each.
 *
 * @param now - milliseconds since 1970
 */
export function notesOn({ id, agent, drain, agentUrl }: BackendStatus, now: number): string[] {
  const notes: string[] = [];
  const note = (text: string) => notes.push(`${id}: ${text}`);
  if (drain) notes.push(describeDrain(id, drain, now));
  if (agent.state === 'unreachable') {
    note(`its agent at ${agentUrl} cannot be asked (${agent.code})`);
    return notes;
  }
  const { journal, commits } = agent;
  if (agent.reason !== undefined) note(`its agent is not ready: ${agent.reason}`);
  if (agent.store === 'unreachable') {
    note('its agent cannot reach the store; a crash now loses what is neither there nor in its journal');
  }
  if (agent.atRisk > 0) {
    const size = readableSize(journal.bytes);
    note(`${counted(agent.atRisk, 'session')} saved in its journal only (${size}); lost if its disk is`);
  }
  if (journal.failures > 0) {
    note(`its journal failed or was full ${counted(journal.failures, 'time')}; those writes were refused`);
  }
  if (journal.lostAtTakeover > 0) {
    const sessions = counted(journal.lostAtTakeover, 'session');
    note(`${sessions} had been taken over before the journal came to the store: their last changes ARE LOST`);
  }
  if (agent.unprotected > 0) {
    const sessions = counted(agent.unprotected, 'session');
    note(`${sessions} too large or not readable; lost when this server stops`);
  }
  const refused = (['fenced', 'stale', 'ended', 'failed'] as const)
    .filter((outcome) => commits[outcome] > 0)
    .map((outcome) => `${commits[outcome]} ${outcome}`);
  if (refused.length > 0) {
    const committed = counted(commits.committed, 'commit');
    note(`${committed} since its agent started; ${refused.join(', ')}`);
  }
  if (agent.reseeded > 0) {
    note(`${counted(agent.reseeded, 'record')} written again into a store that had lost data`);
  }
  return notes;
}
