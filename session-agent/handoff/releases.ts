import type { Logger } from 'pino';
import type { ReleaseAnswer, ReleaseIdleAnswer } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Leases } from '../leases/leases.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import { within } from '../ownership/within.ts';
import type { Capture } from '../replicator/capture.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { Replicator } from '../replicator/replicator.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import type { SessionSource } from '../sources/session-source.ts';
import { Slots } from './slots.ts';

/** A call of `releaseIdle` answers after about this long with what it has done, so that the caller can show progress. */
const IDLE_BUDGET_MS = 1_000;

/** Sessions taken back from gateways together: their IDs fit into one answer. */
const BATCH = 200;

/** How long gateways have for agreeing to a whole batch, before they are asked for each session by itself, milliseconds. */
const TOGETHER_MS = 250;

/** Gateways may have requests under way that end soon. A session that is busy for longer stays, milliseconds. */
const BUSY_MS = 10_000;

/** Whoever waits for a release is told after this long that it is still going on; gateways hang up after 2 s, milliseconds. */
const PATIENCE_MS = 1_500;

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
  readonly leases: Leases;
  readonly logger: Logger;
  /** False as long as the app may hold sessions that the agent does not know of. */
  readonly hasAccount: () => boolean;
  /** Final commits under way at once. */
  readonly concurrency: number;
}

/**
 * Gives sessions up, complete and committed, so that another backend can adopt them. First they are taken back from all
 * gateways: then no request of theirs is under way at the final capture, and none follows. Until they have agreed, commits go
 * on as ever.
 */
export class Releases {
  readonly #parts: ReleasesParts;
  readonly #slots: Slots;
  readonly #underWay = new Map<string, Promise<ReleaseAnswer>>();
  /** Sessions for which some gateway did not agree in time when last asked. */
  #busy: ReadonlySet<string> = new Set();

  constructor(parts: ReleasesParts) {
    this.#parts = parts;
    this.#slots = new Slots(parts.concurrency);
  }

  /**
   * `unknown`: the store or the app is in trouble, or the session cannot be saved; it stays here. `SESSION_MOVING`: gateways
   * have not agreed yet; it goes on.
   */
  async release(sessionId: string): Promise<ReleaseAnswer> {
    const { source, owned, queue, leases } = this.#parts;
    try {
      if (!this.#underWay.has(sessionId) && !owned.get(sessionId)) {
        await source.refresh(sessionId);
        this.#assertNotLoggedOut(sessionId);
        if (!owned.get(sessionId) && !queue.idle(sessionId)) return { outcome: 'not-held' };
      }
    } catch (error) {
      return this.#failed(sessionId, error);
    }
    const release =
      this.#underWay.get(sessionId) ??
      this.#begin(sessionId, leases.agreed(leases.recall([sessionId], 'release'), BUSY_MS));
    return (await within(release, PATIENCE_MS)) ?? { outcome: 'unknown', code: 'SESSION_MOVING' };
  }

  /**
   * What becomes of the release of a session, if one is under way: nobody may be told meanwhile that the session is here, or a
   * write could slip in behind the final capture. `SESSION_MOVING` when it takes too long to wait for.
   */
  underWay(sessionId: string): Promise<ReleaseAnswer> | undefined {
    return this.#underWay.has(sessionId) ? this.release(sessionId) : undefined;
  }

  /**
   * Releases up to `limit` sessions that are not in `except`. Those that cannot be saved stay, and for now those with a request
   * under way at another gateway.
   *
   * @throws StickshiftError `SOURCE_FAILED` while the agent does not know what the app holds: "none left" would not be true
   */
  async releaseIdle(except: ReadonlySet<string>, limit: number): Promise<ReleaseIdleAnswer> {
    const { owned, health, hasAccount } = this.#parts;
    if (!hasAccount()) {
      throw new StickshiftError('SOURCE_FAILED', 'the agent does not know yet what the app holds');
    }
    const until = performance.now() + IDLE_BUDGET_MS;
    const candidates = owned.values();
    const busy = new Set<string>();
    let released = 0;
    do {
      const batch: string[] = [];
      for (const { id, unprotected, waiters } of candidates) {
        if (except.has(id) || unprotected || waiters.size > 0 || this.#underWay.has(id)) continue;
        batch.push(id);
        if (batch.length >= Math.min(BATCH, limit - released)) break;
      }
      if (batch.length === 0) break;
      released += await this.#releaseBatch(batch, until, busy);
      // While the store is away every further release would only wait for it.
    } while (health.isOk && performance.now() < until && released < limit);
    this.#busy = busy;
    return { released, remaining: owned.remaining, unprotected: owned.unprotected };
  }

  /** Releases those of the batch that all gateways agree to let go of before `until`; notes the others in `busy`. */
  async #releaseBatch(sessionIds: readonly string[], until: number, busy: Set<string>): Promise<number> {
    const { leases, health } = this.#parts;
    const agreed = (ids: readonly string[], patienceMs: number): Promise<boolean> =>
      leases.agreed(
        leases.recall(ids, 'release'),
        Math.min(patienceMs, Math.max(0, until - performance.now())),
      );
    const idle = sessionIds.filter((id) => !this.#busy.has(id));
    const together = idle.length > 0 ? agreed(idle, TOGETHER_MS) : Promise.resolve(false);
    const releases = sessionIds.map(async (id) => {
      const isAgreed = this.#busy.has(id)
        ? agreed([id], BUSY_MS)
        : together.then((all) => all || agreed([id], BUSY_MS));
      void isAgreed.then((yes) => {
        if (!yes) busy.add(id);
      });
      const { outcome } = await this.#begin(id, isAgreed, () => health.isOk && performance.now() < until);
      return outcome;
    });
    return (await Promise.all(releases)).filter((outcome) => outcome !== 'unknown').length;
  }

  /** From now on nobody is told that the session is here. It is released once it is `agreed`, if that is `due` then. */
  #begin(
    sessionId: string,
    agreed: Promise<boolean>,
    due: () => boolean = () => true,
  ): Promise<ReleaseAnswer> {
    const stays = { outcome: 'unknown', code: 'SESSION_MOVING' } as const;
    const release = agreed
      .then((isAgreed) =>
        isAgreed ? this.#slots.run(async () => (due() ? this.#carryOut(sessionId) : stays)) : stays,
      )
      .finally(() => this.#underWay.delete(sessionId));
    this.#underWay.set(sessionId, release);
    return release;
  }

  async #carryOut(sessionId: string): Promise<ReleaseAnswer> {
    const { source, queue } = this.#parts;
    try {
      await source.refresh(sessionId);
      return await queue.run(sessionId, () => this.#release(sessionId));
    } catch (error) {
      return this.#failed(sessionId, error);
    }
  }

  #failed(sessionId: string, error: unknown): ReleaseAnswer {
    const { owned, logger } = this.#parts;
    const failure = asStickshiftError(error);
    const key = owned.keyOf(sessionId);
    logger.warn({ err: failure, [ATTRIBUTE.sessionKey]: key }, 'a session could not be released');
    return { outcome: 'unknown', code: failure.code };
  }

  #assertNotLoggedOut(sessionId: string): void {
    if (!this.#parts.logouts.due(sessionId)) return;
    throw new StickshiftError(
      'STORE_UNREACHABLE',
      'the session was logged out; its tombstone does not stand yet',
    );
  }

  async #release(sessionId: string): Promise<ReleaseAnswer> {
    this.#assertNotLoggedOut(sessionId);
    const session = this.#parts.owned.get(sessionId);
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
