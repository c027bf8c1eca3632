import type { Logger } from 'pino';
import type { CommitRequest, SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { KnownBindings } from '../sessions/known-bindings.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { HoldDecision } from './hold-rules.ts';

/** Pause before an agent that is away is asked again: it may be restarting beside its app. */
const AGENT_RETRY_PAUSE_MS = 100;
/** How long it is asked when the session can be had elsewhere: its client is served sooner there, from its last commit. */
const AGENT_GRACE_MS = 250;
/** When nothing was journaled for so long, the next time is another outage. */
const OUTAGE_IS_OVER_MS = 10_000;

interface CommitterOptions {
  readonly agentClient: AgentClient;
  readonly health: BackendReports;
  readonly known: KnownBindings;
  readonly acknowledged: Acknowledgements;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  /** How long an answer may be held, milliseconds. */
  readonly holdTimeoutMs: number;
}

/** Who answered a request, and the agent's incarnation when the request was sent. */
export interface AnsweredBy {
  readonly backend: Backend;
  readonly incarnation: string | undefined;
  /** Of the binding that the request followed. A commit makes it no newer: the session may be on its way out already. */
  readonly stamp: Stamp | undefined;
}

/** Waits, for a held answer, until the agent has committed what the answer acknowledges. */
export class Committer {
  readonly #options: CommitterOptions;
  /** When each backend last journaled what it could not commit, `performance.now()`. */
  readonly #journaledAt = new Map<Backend, number>();

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Resolves, as soon as the answer may go out, with the epoch of the last session named, 0 when it has no record; or says that
   * it was logged out.
   *
   * @param failed - see `CommitRequest`
   * @throws StickshiftError `COMMIT_FENCED` when the session has moved, `COMMIT_ENDED` when it had been logged out before the
   * change, `COMMIT_UNKNOWN` when nobody can say that the change is safe. The answer must be withheld then.
   */
  async commit(
    answeredBy: AnsweredBy,
    sessions: readonly SessionReference[],
    { durability, unsafe }: HoldDecision,
    failed = false,
  ): Promise<number | 'ended'> {
    const { counters } = this.#options;
    const started = performance.now();
    try {
      const commits = await this.#ask(answeredBy, sessions, { durability, ...(failed && { failed }) });
      if (unsafe) await this.#assertNothingLost(commits, answeredBy.backend);
      let last: number | 'ended' = 0;
      for (const [index, commit] of commits.entries()) {
        last = this.#check(commit, sessions[index] as SessionReference, answeredBy);
      }
      counters.held[releasedAs(commits)] += 1;
      return last;
    } catch (error) {
      counters.held.withheld += 1;
      throw error;
    } finally {
      counters.holdTimeMs += performance.now() - started;
    }
  }

  async #ask(
    { backend, incarnation }: Omit<AnsweredBy, 'stamp'>,
    sessions: readonly SessionReference[],
    wish: Pick<CommitRequest, 'durability' | 'failed'>,
  ): Promise<readonly SessionCommit[]> {
    const { agentClient, health, holdTimeoutMs } = this.#options;
    const sessionIds = sessions.map((session) => session.id);
    const deadline = performance.now() + holdTimeoutMs;
    let awaySince: number | undefined;
    for (;;) {
      awaySince = backend.agentUp ? undefined : (awaySince ?? performance.now());
      const until =
        awaySince !== undefined && canBeHadElsewhere(sessions, backend)
          ? Math.min(awaySince + AGENT_GRACE_MS, deadline)
          : deadline;
      const timeoutMs = Math.max(1, Math.round(until - performance.now()));
      try {
        const request = { sessionIds, timeoutMs, incarnation, ...wish };
        const answer = await agentClient.commit(backend, request, backend.agentGone);
        if (answer.sessions.length !== sessions.length) {
          throw new StickshiftError(
            'AGENT_INVALID',
            `asked for ${sessions.length} commits, got ${answer.sessions.length}`,
          );
        }
        return answer.sessions;
      } catch (error) {
        const failure = asStickshiftError(error);
        const isAway = failure.code === 'AGENT_UNREACHABLE' || failure.code === 'AGENT_NO_ANSWER';
        if (failure.code === 'AGENT_UNREACHABLE') health.agentFailed(backend);
        // Without its app an agent that comes back has nothing to commit any more.
        const isWorthwhile = isAway && backend.appUp && performance.now() + AGENT_RETRY_PAUSE_MS < until;
        if (!isWorthwhile) {
          const keys = sessions.map(({ key }) => key).join();
          this.#options.logger.warn(
            { [ATTRIBUTE.sessionKey]: keys, backend: backend.id, code: failure.code },
            'answer withheld: the agent did not say that its change is saved',
          );
          throw new StickshiftError('COMMIT_UNKNOWN', `no commit from the agent: ${failure.message}`, {
            cause: failure,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, AGENT_RETRY_PAUSE_MS));
      }
    }
  }

  /**
   * An app server that writes its sessions behind its answers may die in between: its agent has seen no change then, just as if
   * there had been none. One that is alive after the answer has arrived has not died before.
   */
  async #assertNothingLost(commits: readonly SessionCommit[], backend: Backend): Promise<void> {
    const isDoubtful = commits.some((commit) => commit.outcome === 'committed' && commit.unchanged);
    if (!isDoubtful || (await this.#options.health.probeApp(backend))) return;
    throw new StickshiftError('COMMIT_UNKNOWN', 'the app server died, perhaps before it wrote the session');
  }

  #check(commit: SessionCommit, session: SessionReference, { backend, stamp }: AnsweredBy): number | 'ended' {
    const { known, acknowledged, counters, logger } = this.#options;
    switch (commit.outcome) {
      case 'committed':
        known.confirm(session.ref, { backend, epoch: commit.epoch, stamp });
        acknowledged.committed(session.ref, commit.seq);
        return commit.epoch;
      case 'journaled':
        this.#noteOutage(backend);
        known.confirm(session.ref, { backend, epoch: commit.epoch, stamp });
        acknowledged.pending(session.ref, commit.seq);
        return commit.epoch;
      case 'accepted':
        known.confirm(session.ref, { backend, epoch: commit.epoch, stamp });
        acknowledged.pending(session.ref, commit.seq);
        return commit.epoch;
      // Logged out, by this request or another: there is nothing left that the answer could acknowledge.
      case 'ended':
        known.doubt(session.ref);
        acknowledged.forget(session.ref);
        return 'ended';
      case 'not-held':
        return 0;
      case 'unprotected':
        counters.unprotected += 1;
        return 0;
      case 'fenced':
        known.doubt(session.ref);
        logger.warn(
          { [ATTRIBUTE.sessionKey]: session.key, backend: backend.id },
          'answer withheld: the session has moved',
        );
        throw new StickshiftError('COMMIT_FENCED', 'the session has a newer owner');
      case 'late':
        known.doubt(session.ref);
        logger.warn(
          { [ATTRIBUTE.sessionKey]: session.key, backend: backend.id },
          'answer withheld: the session had been logged out',
        );
        throw new StickshiftError('COMMIT_ENDED', 'the session was logged out before it was changed');
      case 'unknown':
        // The app has died over the session, or cannot be heard: whether it still has it is for its agent to say.
        if (commit.code === 'SOURCE_FAILED') known.doubt(session.ref);
        logger.warn(
          { [ATTRIBUTE.sessionKey]: session.key, backend: backend.id, code: commit.code },
          'answer withheld: not committed',
        );
        throw new StickshiftError('COMMIT_UNKNOWN', `the commit did not come about: ${commit.code}`);
    }
  }
  /** Once for each outage: its answers are counted, and may be many. */
  #noteOutage(backend: Backend): void {
    const last = this.#journaledAt.get(backend) ?? Number.NEGATIVE_INFINITY;
    const now = performance.now();
    this.#journaledAt.set(backend, now);
    if (now - last < OUTAGE_IS_OVER_MS) return;
    this.#options.logger.warn(
      { pool: backend.pool, backend: backend.id },
      'the agent cannot reach the store: writes are acknowledged from its journal, and are at risk until the store is back',
    );
  }
}

function canBeHadElsewhere([session]: readonly SessionReference[], backend: Backend): boolean {
  return session?.pool.accepting(Date.now()).some((other) => other !== backend) ?? false;
}

/** What an answer counts as: as the weakest of what it acknowledges. */
function releasedAs(commits: readonly SessionCommit[]): 'released' | 'accepted' | 'atRisk' {
  if (commits.some(({ outcome }) => outcome === 'journaled')) return 'atRisk';
  return commits.some(({ outcome }) => outcome === 'accepted') ? 'accepted' : 'released';
}
