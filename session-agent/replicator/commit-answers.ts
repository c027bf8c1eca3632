import type { CommitDurability, CommitRequest, SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { IdChanges } from '../id-change/id-changes.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import { within } from '../ownership/within.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
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
  readonly formerOwners: FormerOwners;
  readonly idChanges: Pick<IdChanges, 'answered'>;
  readonly isReady: () => boolean;
  /** Resolves when the agent knows what the app holds. */
  readonly reconciled: () => Promise<void>;
}

/** Answers that say that the app's changes are safe in the way that was asked for. */
const SAVED: ReadonlySet<SessionCommit['outcome']> = new Set(['committed', 'accepted', 'journaled']);

/** A file may have been written, and gone with its disk, before its watcher has seen it. */
const LEARNS_LATE: ReadonlySet<SessionSource['kind']> = new Set(['files']);

/** What the answer that waits is, and what it needs. */
export interface CommitTerms extends Pick<CommitRequest, 'durability' | 'failed'> {
  /** `earlier`: the request may have run before this agent began to listen to the app. Default: `this-life`. */
  readonly since?: 'this-life' | 'earlier' | undefined;
}

/** What a caller gets that names none. */
const DEFAULT_DURABILITY: CommitDurability = { mode: 'ack', onStoreDown: 'refuse' };

/** A question about one session. */
interface Question {
  readonly sessionId: string;
  readonly durability: CommitDurability;
  /** Resolves when it is known what the request did to the IDs of its sessions. */
  readonly settled: Promise<void>;
  /** Aborted when nobody waits for the answer any more. */
  readonly late: AbortSignal;
}

/** Answers the question "may this response go out?": waits until every change known by now is as safe as the caller wants it. */
export class CommitAnswers {
  readonly #parts: CommitAnswersParts;

  constructor(parts: CommitAnswersParts) {
    this.#parts = parts;
  }

  /**
   * In the order of `sessionIds`; what is not decided within `timeoutMs` is `unknown`.
   */
  async commit(
    sessionIds: readonly string[],
    timeoutMs: number,
    { since = 'this-life', durability = DEFAULT_DURABILITY, failed = false }: CommitTerms = {},
  ): Promise<SessionCommit[]> {
    // An app that is not there may have changed the session without a word, and may be another process when it is back.
    const { idChanges, isReady, reconciled } = this.#parts;
    const missedSome = since === 'earlier' || !isReady();
    // One of them may be what another has become: what the request did to all of them is settled before any is answered for.
    const replicas = durability.mode === 'replica' ? (durability.replicas ?? 1) : 0;
    const settled = (missedSome ? reconciled() : Promise.resolve()).then(() =>
      idChanges.answered(sessionIds, replicas, failed),
    );
    const commits = await Promise.all(
      sessionIds.map((sessionId) => this.#commit({ sessionId, durability, settled }, timeoutMs, missedSome)),
    );
    // The response goes on with another session. Late changes are those of requests beside it.
    const [first, ...others] = commits;
    return first?.outcome === 'late' && others.length > 0 ? [{ outcome: 'ended' }, ...others] : commits;
  }

  async #commit(
    asked: Omit<Question, 'late'>,
    timeoutMs: number,
    missedSome: boolean,
  ): Promise<SessionCommit> {
    const { dispatcher, owned, health, logouts } = this.#parts;
    const { sessionId, durability } = asked;
    const late = new AbortController();
    const question = { ...asked, late: late.signal };
    const answer = (missedSome ? this.#answerFromApp(question) : this.#answer(question))
      .then((commit) => this.#onceRetired(sessionId, commit))
      .catch(
        (error: unknown): SessionCommit => ({ outcome: 'unknown', code: asStickshiftError(error).code }),
      );
    const commit = await dispatcher.hurry(within(answer, timeoutMs));
    if (commit) return commit;
    late.abort();
    const session = owned.get(sessionId);
    const unjournaled = durability.onStoreDown === 'serve' ? session?.journalFailure : undefined;
    const code = unjournaled ?? session?.lastFailure ?? logouts.failure(sessionId) ?? health.failure;
    return { outcome: 'unknown', code: code ?? 'COMMIT_UNKNOWN' };
  }

  /** An answer that says that a session has ended goes out when nobody can serve it any more. */
  async #onceRetired(sessionId: string, commit: SessionCommit): Promise<SessionCommit> {
    if (commit.outcome === 'ended' || commit.outcome === 'late') {
      await this.#parts.formerOwners.gone(sessionId);
    }
    return commit;
  }

  /**
   * The app may have changed the session unheard. If it is still the same process, it has named the session since, and has been
   * asked for its bytes. One that began anew cannot know of the change, whatever the record says.
   */
  async #answerFromApp(question: Question): Promise<SessionCommit> {
    const { owned, reconciled } = this.#parts;
    const { sessionId } = question;
    await reconciled();
    const session = owned.get(sessionId);
    const isFromApp = session === undefined || (session.fromApp && session.inApp);
    const commit = await this.#answer(question);
    const isSaved = SAVED.has(commit.outcome);
    const isKnown = isSaved ? isFromApp : commit.outcome !== 'not-held';
    return isKnown ? commit : { outcome: 'unknown', code: 'COMMIT_UNKNOWN' };
  }

  async #answer({ sessionId, durability, settled, late }: Question): Promise<SessionCommit> {
    const { source, owned, queue, logouts, losses, reconciled } = this.#parts;
    await settled;
    while (!late.aborted) {
      const tombstone = logouts.due(sessionId);
      if (tombstone) return tombstone;

      const loss = losses.get(sessionId);
      if (loss === 'gone') return { outcome: 'unknown', code: 'SOURCE_FAILED' };
      const session = owned.get(sessionId);
      if (session) {
        const commit = await this.#saved(session, durability, late);
        // The session may have gone because it was logged out a moment ago.
        if (commit.outcome !== 'not-held' || !logouts.due(sessionId)) return commit;
        continue;
      }
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

  async #saved(
    session: OwnedSession,
    { mode, replicas = 1, onStoreDown }: CommitDurability,
    late: AbortSignal,
  ): Promise<SessionCommit> {
    const { replicator, source } = this.#parts;
    const { changes, answeredChanges } = session;
    const commit: SessionCommit =
      mode === 'async' && session.isDirty
        ? { outcome: 'accepted', epoch: session.epoch, seq: session.committedSeq }
        : await replicator.covered(session, late, {
            replicas: mode === 'replica' ? replicas : 0,
            journal: mode === 'ack' && onStoreDown === 'serve',
          });
    if (SAVED.has(commit.outcome)) session.answeredChanges = Math.max(session.answeredChanges, changes);
    const isUnchanged = LEARNS_LATE.has(source.kind) && changes === answeredChanges;
    return commit.outcome === 'committed' && isUnchanged ? { ...commit, unchanged: true } : commit;
  }
}
