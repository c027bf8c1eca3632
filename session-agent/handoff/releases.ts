import type { Logger } from 'pino';
import type { ReleaseAnswer } from '../../protocol/agent-api.ts';
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
import { assertSettled } from '../reseed/settled.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
import { Slots } from './slots.ts';

/** Gateways may have requests under way that end soon. A session that is busy for longer stays, milliseconds. */
const BUSY_MS = 10_000;

/** Whoever waits for a release is told after this long that it is still going on; gateways hang up after 2 s, milliseconds. */
const PATIENCE_MS = 1_500;

const STILL_MOVING = { outcome: 'unknown', code: 'SESSION_MOVING' } as const;

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
  readonly formerOwners: FormerOwners;
  readonly logger: Logger;
  /** Final commits under way at once. */
  readonly concurrency: number;
  /** False as long as the app, or the journal, may hold sessions that the agent does not know of. */
  readonly hasAccount: () => boolean;
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

  constructor(parts: ReleasesParts) {
    this.#parts = parts;
    this.#slots = new Slots(parts.concurrency);
  }

  /**
   * `unknown`: the store or the app is in trouble, or the session cannot be saved; it stays here. `SESSION_MOVING`: gateways
   * have not agreed yet, and it goes on; or its former owner may serve it yet, which the next one would not know.
   */
  async release(sessionId: string): Promise<ReleaseAnswer> {
    const { source, store, owned, queue, formerOwners, hasAccount } = this.#parts;
    try {
      assertSettled(store);
      if (!this.#underWay.has(sessionId) && !owned.get(sessionId)) {
        await source.refresh(sessionId);
        this.#assertNotLoggedOut(sessionId);
        if (!owned.get(sessionId) && !queue.idle(sessionId)) {
          if (hasAccount()) return { outcome: 'not-held' };
          throw new StickshiftError('SOURCE_FAILED', 'the agent does not know yet what the app holds');
        }
      }
    } catch (error) {
      return this.#failed(sessionId, error);
    }
    if (formerOwners.mayServe(sessionId)) return STILL_MOVING;
    const release = this.#underWay.get(sessionId) ?? this.begin(sessionId, this.agreed([sessionId]));
    return (await within(release, PATIENCE_MS)) ?? STILL_MOVING;
  }

  /**
   * What becomes of the release of a session, if one is under way: nobody may be told meanwhile that the session is here, or a
   * write could slip in behind the final capture. `SESSION_MOVING` when it takes too long to wait for.
   */
  underWay(sessionId: string): Promise<ReleaseAnswer> | undefined {
    const release = this.#underWay.get(sessionId);
    return release && within(release, PATIENCE_MS).then((answer) => answer ?? STILL_MOVING);
  }

  isUnderWay(sessionId: string): boolean {
    return this.#underWay.has(sessionId);
  }

  /** Whether all gateways agree to let go of the sessions, before they have been busy with them for too long. */
  agreed(sessionIds: readonly string[], patienceMs = BUSY_MS): Promise<boolean> {
    const { leases } = this.#parts;
    return leases.agreed(leases.recall(sessionIds, 'release'), patienceMs);
  }

  /** From now on nobody is told that the session is here. It is released as soon as gateways have `agreed`, or stays. */
  begin(sessionId: string, agreed: Promise<boolean>): Promise<ReleaseAnswer> {
    const release = agreed
      .then((isAgreed): Promise<ReleaseAnswer> | ReleaseAnswer =>
        isAgreed ? this.#slots.run(() => this.#carryOut(sessionId)) : STILL_MOVING,
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
    assertSettled(this.#parts.store);
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
    const claim = { owner: backend, epoch: session.epoch };
    const release = health.watch(store.release(session.key, { ...claim, ...(final && { final }) }));
    const result = await release.catch((error: unknown) => {
      session.mayBeReleased ||= asStickshiftError(error).code !== 'STORE_UNREACHABLE';
      throw error;
    });
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
