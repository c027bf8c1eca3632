import type { Logger } from 'pino';
import type { ReleaseAnswer, ReleaseIdleAnswer } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Capture } from '../replicator/capture.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import type { SessionSource } from '../sources/session-source.ts';

/** A call of `releaseIdle` answers after about this long with what it has done, so that the caller can show progress. */
const IDLE_BUDGET_MS = 1_000;

/** A stale final commit, or a record that the store lost, is mended and tried again; not for ever. */
const ATTEMPTS = 3;

export interface ReleasesParts {
  readonly backend: string;
  readonly source: SessionSource;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly capture: Capture;
  readonly committer: Committer;
  readonly replicator: Replicator;
  readonly logouts: Logouts;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  readonly logger: Logger;
  /** False as long as the app may hold sessions that the agent does not know of. */
  readonly hasAccount: () => boolean;
  /** Releases under way at once in `releaseIdle`. */
  readonly concurrency: number;
}

/** Gives sessions up, complete and committed, so that another backend can adopt them. */
export class Releases {
  readonly #parts: ReleasesParts;

  constructor(parts: ReleasesParts) {
    this.#parts = parts;
  }

  /** `unknown`: the store or the app is in trouble, or the session cannot be saved; it stays here. */
  async release(sessionId: string): Promise<ReleaseAnswer> {
    const { source, queue, owned, logger } = this.#parts;
    try {
      await source.refresh(sessionId);
      return await queue.run(sessionId, () => this.#release(sessionId));
    } catch (error) {
      const failure = asStickshiftError(error);
      const key = owned.keyOf(sessionId);
      logger.warn({ err: failure, [ATTRIBUTE.sessionKey]: key }, 'a session could not be released');
      return { outcome: 'unknown', code: failure.code };
    }
  }

  /**
   * Releases up to `limit` sessions that are not in `except`. Those that cannot be saved stay.
   *
   * @throws StickshiftError `SOURCE_FAILED` while the agent does not know what the app holds: "none left" would not be true
   */
  async releaseIdle(except: ReadonlySet<string>, limit: number): Promise<ReleaseIdleAnswer> {
    const { owned, health, concurrency, hasAccount } = this.#parts;
    if (!hasAccount()) {
      throw new StickshiftError('SOURCE_FAILED', 'the agent does not know yet what the app holds');
    }
    const until = performance.now() + IDLE_BUDGET_MS;
    const candidates = owned.values();
    let released = 0;
    let underWay = 0;
    const work = async (): Promise<void> => {
      for (const session of candidates) {
        if (except.has(session.id) || session.unprotected || session.waiters.size > 0) continue;
        underWay++;
        const { outcome } = await this.release(session.id);
        underWay--;
        if (outcome !== 'unknown') released++;
        // While the store is away every further release would only wait for it.
        if (!health.isOk || performance.now() > until || released + underWay >= limit) return;
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, limit) }, work));
    return { released, remaining: owned.remaining, unprotected: owned.unprotected };
  }

  async #release(sessionId: string): Promise<ReleaseAnswer> {
    const { owned, logouts } = this.#parts;
    if (logouts.due(sessionId)) {
      throw new StickshiftError(
        'STORE_UNREACHABLE',
        'the session was logged out; its tombstone does not stand yet',
      );
    }
    const session = owned.get(sessionId);
    if (!session) return { outcome: 'not-held' };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await this.#attempt(session);
      if (answer) return answer;
    }
    throw new StickshiftError('STORE_INVALID', 'the record changes with every attempt to release it');
  }

  /** `undefined`: mended something; try again. */
  async #attempt(session: OwnedSession): Promise<ReleaseAnswer | undefined> {
    const { owned, capture, committer, replicator, store, health, backend } = this.#parts;
    // The store releases a record, and a session that was never committed has none.
    if (session.committedSeq === 0) {
      const first = await committer.commit(session);
      if (first.outcome === 'failed') throw first.failure;
      if (first.outcome === 'gone') owned.delete(session, { outcome: 'not-held' });
      if (first.outcome === 'fenced' || first.outcome === 'ended' || first.outcome === 'gone') {
        return { outcome: 'not-held' };
      }
      if (first.outcome === 'unprotected') throw unprotected();
    }
    const taken = await capture.take(session);
    if (taken.outcome === 'failed') throw taken.failure;
    if (taken.outcome === 'unprotected') throw unprotected();
    const sealed = taken.outcome === 'fresh' ? await committer.seal(session, taken) : undefined;
    const final = sealed && { ...sealed, deadlines: session.deadlines };
    const result = await health.watch(
      store.release(session.key, { owner: backend, epoch: session.epoch, ...(final && { final }) }),
    );
    switch (result.outcome) {
      case 'released':
        if (sealed && taken.outcome === 'fresh') {
          committer.confirmed(session, taken, sealed.seq, sealed.snapshot.length);
        }
        await this.#letGo(session);
        return { outcome: 'released', epoch: session.epoch, seq: session.committedSeq };
      case 'fenced':
      case 'ended':
        await committer.lose(session, result.outcome);
        return { outcome: 'not-held' };
      case 'stale':
        if (await committer.catchUp(session)) return undefined;
        await committer.lose(session, 'fenced');
        return { outcome: 'not-held' };
      case 'absent':
        if (taken.outcome === 'gone') {
          owned.delete(session, { outcome: 'not-held' });
          return { outcome: 'not-held' };
        }
        // The store lost the record of a session that the app still has. To forget it now would be to lose it.
        replicator.recreate(session);
        return undefined;
    }
  }

  async #letGo(session: OwnedSession): Promise<void> {
    const { owned, losses, forgetter } = this.#parts;
    // A change that came after the final capture is on no backend any more; its response must not go out. The app may not
    // even tell of it: PHP writes on into a file that it opened before it was removed.
    losses.note(session.id, 'fenced');
    owned.delete(session, { outcome: 'fenced' });
    await forgetter.forget(session.id, session.key);
  }
}

function unprotected(): StickshiftError {
  return new StickshiftError('SESSION_UNPROTECTED', 'the session cannot be saved, and so it stays');
}
