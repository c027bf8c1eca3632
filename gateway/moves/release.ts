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
   * @param appIsGone - the owner's app server takes no connections any more; its agent may still have what it was told
   * @throws StickshiftError `SESSION_UNKNOWN` when the session may only move later
   */
  async release(
    session: SessionReference,
    owner: Backend,
    { appIsGone, log }: { readonly appIsGone: boolean; readonly log: Logger },
  ): Promise<Release> {
    const { agentClient, health, inFlight, moveTimeoutMs } = this.#options;
    if (!appIsGone) await inFlight.idle(session.ref, moveTimeoutMs / 2);
    try {
      const answer = await agentClient.release(owner, { sessionId: session.id });
      if (answer.outcome !== 'unknown') return answer.outcome;
      if (appIsGone && !isStoreTrouble(answer.code)) {
        log.warn({ code: answer.code }, 'the old owner has lost its app; taking the session over');
        return 'lost';
      }
      if (answer.code === 'SESSION_UNPROTECTED' && owner.adminState !== 'maintenance') return 'kept';
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

/** Then nobody else can have the session either. */
function isStoreTrouble(code: string): boolean {
  return code.startsWith('STORE_');
}
