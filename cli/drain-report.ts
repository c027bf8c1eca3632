import type { DrainProgress } from '../gateway/admin-api/admin-api-types.ts';
import { counted, readableDuration } from './readable.ts';

/**
 * One line about a drain, for people.
 *
 * @param now - milliseconds since 1970
 */
export function describeDrain(backend: string, drain: DrainProgress, now: number): string {
  const took = readableDuration((drain.endedAt ?? now) - drain.startedAt);
  const last = drain.isLast ? '; NO OTHER BACKEND TAKES CLIENTS, so it goes on serving its own' : '';
  const agent = drain.agentError === undefined ? '' : `; its agent does not help (${drain.agentError})`;
  switch (drain.state) {
    case 'draining': {
      const left = readableDuration(Math.max(0, drain.deadlineAt - now));
      return `${backend}: draining; ${progress(drain)}; ${left} until the deadline${agent}${last}`;
    }
    case 'closing':
      return `${backend}: the deadline has passed, closing what is left; ${progress(drain)}${agent}`;
    case 'complete':
      return `${backend}: drained in ${took}; ${counted(drain.released, 'session')} saved and released, nothing in flight${last || '. It can be stopped'}.`;
    case 'incomplete':
      return `${backend}: NOT drained after ${took}; ${progress(drain)}${agent}${last}. ${advice(drain)}`;
  }
}

function progress({ released, remaining, inFlight }: DrainProgress): string {
  const left = remaining === undefined ? '' : `, ${remaining} left`;
  return `${counted(released, 'session')} released${left}, ${counted(inFlight, 'request')} in flight`;
}

function advice({ unprotected = 0, agentError, isLast }: DrainProgress): string {
  if (isLast) return 'Make another one ready, then drain again; or stop it under maintenance.';
  if (agentError !== undefined) return 'Look at its agent and the store, then drain again.';
  if (unprotected > 0) {
    return `${counted(unprotected, 'session')} cannot be saved (too large or not readable) and will be lost when it stops.`;
  }
  return 'Drain again, with a longer --deadline.';
}
