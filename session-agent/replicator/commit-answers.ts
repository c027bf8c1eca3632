import type { SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import { within } from '../ownership/within.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Logouts } from './logouts.ts';
import type { Replicator } from './replicator.ts';
import type { StoreHealth } from './store-health.ts';

export interface CommitAnswersParts {
  readonly source: SessionSource;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly logouts: Logouts;
  readonly losses: RecentLosses;
  readonly replicator: Replicator;
  readonly dispatcher: Dispatcher;
  readonly health: StoreHealth;
  readonly isReady: () => boolean;
  /** Resolves when the agent knows what the app holds. */
  readonly reconciled: () => Promise<void>;
}

/** Answers the question "may this response go out?": waits until every change known by now is in the store. */
export class CommitAnswers {
  readonly #parts: CommitAnswersParts;

  constructor(parts: CommitAnswersParts) {
    this.#parts = parts;
  }

  /**
   * In the order of `sessionIds`; what is not decided within `timeoutMs` is `unknown`.
   *
   * @param since - `earlier`: the request may have run before this agent began to listen to the app
   */
  commit(
    sessionIds: readonly string[],
    timeoutMs: number,
    since: 'this-life' | 'earlier' = 'this-life',
  ): Promise<SessionCommit[]> {
    // An app that is not there may have changed the session without a word, and may be another process when it is back.
    const missedSome = since === 'earlier' || !this.#parts.isReady();
    return Promise.all(sessionIds.map((sessionId) => this.#commit(sessionId, timeoutMs, missedSome)));
  }

  async #commit(sessionId: string, timeoutMs: number, missedSome: boolean): Promise<SessionCommit> {
    const { dispatcher, owned, health, logouts } = this.#parts;
    const late = new AbortController();
    const answer = (
      missedSome ? this.#answerFromApp(sessionId, late.signal) : this.#answer(sessionId, late.signal)
    ).catch((error: unknown): SessionCommit => ({ outcome: 'unknown', code: asStickshiftError(error).code }));
    const commit = await dispatcher.hurry(within(answer, timeoutMs));
    if (commit) return commit;
    late.abort();
    const code = owned.get(sessionId)?.lastFailure ?? logouts.failure(sessionId) ?? health.failure;
    return { outcome: 'unknown', code: code ?? 'COMMIT_UNKNOWN' };
  }

  /**
   * The app may have changed the session unheard. If it is still the same process, it has named the session since, and has been
   * asked for its bytes. One that began anew cannot know of the change, whatever the record says.
   */
  async #answerFromApp(sessionId: string, late: AbortSignal): Promise<SessionCommit> {
    const { owned, reconciled } = this.#parts;
    await reconciled();
    const session = owned.get(sessionId);
    const isFromApp = session === undefined || (session.fromApp && session.inApp);
    const commit = await this.#answer(sessionId, late);
    const isKnown = commit.outcome === 'committed' ? isFromApp : commit.outcome !== 'not-held';
    return isKnown ? commit : { outcome: 'unknown', code: 'COMMIT_UNKNOWN' };
  }

  async #answer(sessionId: string, late: AbortSignal): Promise<SessionCommit> {
    const { source, owned, queue, logouts, losses, replicator, reconciled } = this.#parts;
    await source.refresh(sessionId);
    while (!late.aborted) {
      const tombstone = logouts.due(sessionId);
      if (tombstone) return tombstone;

      const session = owned.get(sessionId);
      if (session) {
        const commit = await replicator.covered(session, late);
        // The session may have gone because it was logged out a moment ago.
        if (commit.outcome !== 'not-held' || !logouts.due(sessionId)) return commit;
        continue;
      }
      const loss = losses.get(sessionId);
      if (loss) return { outcome: loss };

      // An adopt, or the question whose session this is, may be under way.
      const busy = queue.idle(sessionId);
      await (busy ?? reconciled());
      if (busy) continue;
      if (owned.get(sessionId) || losses.get(sessionId) || logouts.due(sessionId)) continue;
      // A full agent does not know what it does not look after.
      if (owned.isFull && (await source.capture(sessionId))) return { outcome: 'unprotected' };
      return { outcome: 'not-held' };
    }
    return { outcome: 'unknown', code: 'COMMIT_UNKNOWN' };
  }
}
