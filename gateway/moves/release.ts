import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import type { SessionReference } from '../sessions/session-reference.ts';

/**
 * - `released`: everything that the owner knew of the session is in its record
 * - `not-held`: the owner has nothing of it
 * - `kept`: it cannot be saved, and its owner still serves it: there is nowhere better
 * - `lost`: the owner is gone or stuck; from here on this is a takeover of the last commit
 */
export type Release = 'released' | 'not-held' | 'kept' | 'lost';

interface ReleaserOptions {
  readonly agentClient: AgentClient;
  readonly health: HealthMonitor;
  readonly inFlight: InFlightSessions;
  /** How long a request waits for its session, milliseconds. */
  readonly moveTimeoutMs: number;
}

/** Has old owners give up their sessions. */
export class Releaser {
  readonly #options: ReleaserOptions;

  constructor(options: ReleaserOptions) {
    this.#options = options;
  }

  /**
   * @param appFails - requests to the owner's app server fail; its agent may still have what it was told
   * @throws StickshiftError `SESSION_UNKNOWN` when the session may only move later
   */
  async release(
    session: SessionReference,
    owner: Backend,
    { appFails, log }: { readonly appFails: boolean; readonly log: Logger },
  ): Promise<Release> {
    const { agentClient, health, inFlight, moveTimeoutMs } = this.#options;
    if (!appFails) await inFlight.idle(session.ref, moveTimeoutMs / 2);
    try {
      const answer = await agentClient.release(owner, { sessionId: session.id });
      if (answer.outcome !== 'unknown') return answer.outcome;
      const isUnprotected = answer.code === 'SESSION_UNPROTECTED';
      // What the agent could not save is gone with the app. One that still answers checks may have what cannot be saved.
      if (appFails && (answer.code === 'SOURCE_FAILED' || (isUnprotected && !owner.appUp))) {
        log.warn({ code: answer.code }, 'the old owner has lost its app; taking the session over');
        return 'lost';
      }
      if (isUnprotected && !appFails && owner.adminState !== 'maintenance') return 'kept';
      throw new StickshiftError(
        'SESSION_UNKNOWN',
        `the old owner could not release the session: ${answer.code}`,
      );
    } catch (error) {
      const failure = asStickshiftError(error);
      if (failure.source !== 'agent') throw failure;
      if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(owner);
      log.warn({ err: failure }, 'old owner does not answer; taking the session over');
      return 'lost';
    }
  }
}
