import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { Acknowledgements } from '../hold/acknowledgements.ts';
import { isPassing, notInTime } from './adopt-answer.ts';
import { isAlive } from './availability.ts';
import type { Search } from './placement.ts';

/**
 * - `released`: everything that the owner knew of the session is in its record
 * - `not-held`: the owner has nothing of it
 * - `kept`: it cannot be saved, and its owner still serves it: there is nowhere better
 * - `lost`: the owner is gone or stuck; from here on this is a takeover of the last commit
 */
export type Release = 'released' | 'not-held' | 'kept' | 'lost';

interface ReleaserOptions {
  readonly store: Pick<SnapshotStore, 'settlingMs'>;
  readonly agentClient: AgentClient;
  readonly health: BackendReports;
  readonly acknowledged: Acknowledgements;
}

/** Has old owners give up their sessions. */
export class Releaser {
  readonly #options: ReleaserOptions;

  constructor(options: ReleaserOptions) {
    this.#options = options;
  }

  /**
   * A lost owner is passed over; its epoch will fence it. One that is there lets go when no request of the session is under way
   * anywhere: its agent asks every gateway, this one as well.
   *
   * @throws StickshiftError `SESSION_UNKNOWN`, `SESSION_MOVING` when the session may only move later
   */
  async release(search: Search, owner: Backend | undefined, log: Logger): Promise<Release> {
    const { store, agentClient, health, acknowledged } = this.#options;
    const { session, lost, silent, patience } = search;
    if (!owner?.agentUp) return 'lost';
    if (silent.has(owner)) return this.#takeFrom(owner, 'gave no answer', log);
    // Requests to the app server fail; its agent may still have what it was told.
    const appFails = !isAlive(owner, lost);
    try {
      for (;;) {
        const answer = await agentClient.release(owner, { sessionId: session.id });
        if (answer.outcome === 'released') acknowledged.committed(session.ref, answer.seq);
        if (answer.outcome !== 'unknown') return answer.outcome;
        const { code } = answer;
        if (!isPassing(code)) return this.#withoutRelease(code, owner, appFails, log);
        await patience.pause(() => notInTime(code, store.settlingMs));
      }
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent' || failure.code === 'SESSION_MOVING') throw failure;
      if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(owner);
      return this.#takeFrom(owner, failure.message, log);
    }
  }

  /** It recalls nothing now, and what its app is still working on must not go out unchecked. */
  #takeFrom(owner: Backend, reason: string, log: Logger): 'lost' {
    owner.lease.distrust();
    log.warn({ reason }, 'old owner does not answer; taking the session over');
    return 'lost';
  }

  #withoutRelease(code: string, owner: Backend, appFails: boolean, log: Logger): 'kept' | 'lost' {
    const isUnprotected = code === 'SESSION_UNPROTECTED';
    // What the agent could not save is gone with the app. One that still answers checks may have what cannot be saved.
    if (appFails && (code === 'SOURCE_FAILED' || (isUnprotected && !owner.appUp))) {
      log.warn({ code }, 'the old owner has lost its app; taking the session over');
      return 'lost';
    }
    if (isUnprotected && !appFails && owner.adminState !== 'maintenance') return 'kept';
    throw new StickshiftError('SESSION_UNKNOWN', `the old owner could not release the session: ${code}`);
  }
}
