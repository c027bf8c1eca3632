import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendStatus } from '../gateway/admin-api/admin-api-types.ts';
import type { Population } from './clients/population.ts';
import type { HistoryRecorder } from './history/history.ts';
import type { Installation } from './installation/installation.ts';
import { GATEWAYS } from './installation/layout.ts';

/** Far beyond the longest time-out, ejection and settling one after the other. */
const WITHIN_MS = 60_000;
const POLL_MS = 150;
/** A commit that has waited for so long is not just under way. */
const LONG_EXPOSURE_MS = 1_000;

/**
 * Waits until every gateway sees every backend well, every agent has committed what it had, and every client has been
 * served since. Clients that are not there yet need not be.
 *
 * @returns undefined, or what was still wrong when there was no more patience
 */
export async function untilSettled(
  installation: Installation,
  population: Population | undefined,
  history: HistoryRecorder,
  signal: AbortSignal,
): Promise<string | undefined> {
  const giveUp = performance.now() + WITHIN_MS;
  let wellSince: number | undefined;
  while (!signal.aborted) {
    let wrong = await whatIsWrong(installation);
    if (wrong !== undefined) wellSince = undefined;
    else {
      wellSince ??= history.now();
      const waiting = population?.unservedSince(wellSince) ?? 0;
      if (waiting === 0) return undefined;
      wrong = `${waiting} clients were not served`;
    }
    if (performance.now() > giveUp) return wrong;
    await sleep(POLL_MS);
  }
  return undefined;
}

async function whatIsWrong(installation: Installation): Promise<string | undefined> {
  for (const gateway of GATEWAYS) {
    try {
      const status = await installation.admin(gateway).status();
      // What the store has forgotten is with those who are writing it again: nobody may take them away before they are done.
      if (status.gateway.storeSettlingMs > 0) return `${gateway} waits for the store to settle`;
      const backends = status.pools.flatMap((pool) => pool.backends);
      if (backends.length === 0) return `${gateway} has no backends`;
      const ill = backends.find((backend) => illness(backend) !== undefined);
      if (ill) return `${gateway} sees ${ill.id} ${illness(ill)}`;
    } catch (error) {
      return `${gateway} does not answer: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

function illness({ up, accepting, agent }: BackendStatus): string | undefined {
  if (!up) return 'down';
  if (!accepting) return 'up but not accepting';
  if (agent.state !== 'ok') return `with an agent that is ${agent.state}: ${agent.code}`;
  if (!agent.ready) return `with an agent that is not ready: ${agent.reason}`;
  if (agent.store !== 'ok') return 'without its store';
  if (agent.exposureMs > LONG_EXPOSURE_MS) return `with changes uncommitted for ${agent.exposureMs} ms`;
  return undefined;
}
