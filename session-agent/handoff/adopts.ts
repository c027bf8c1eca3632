import type { Logger } from 'pino';
import type { AdoptAnswer, ReleaseAnswer } from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { Counters } from '../counters.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { Loss } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import { assertSettled } from '../reseed/settled.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
import type { TakenSessions } from '../takeover/taken-sessions.ts';
import type { Rehydration } from './rehydration.ts';

export interface AdoptsParts {
  readonly backend: string;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly committer: Committer;
  readonly logouts: Logouts;
  readonly rehydration: Rehydration;
  readonly formerOwners: FormerOwners;
  readonly taken: Pick<TakenSessions, 'mayInclude'>;
  readonly counters: Counters;
  readonly logger: Logger;
  /** False until the agent knows what the app holds. */
  readonly isReady: () => boolean;
  /** Resolves when a release of the session that is under way has ended, or has taken long. */
  readonly releaseUnderWay: (sessionId: string) => Promise<ReleaseAnswer> | undefined;
}

/** Takes sessions over when a gateway asks for it. */
export class Adopts {
  readonly #parts: AdoptsParts;

  constructor(parts: AdoptsParts) {
    this.#parts = parts;
  }

  /** Resolves with `found` when the next request will find the session in the app. */
  async adopt(sessionId: string, ifEpoch: number): Promise<AdoptAnswer> {
    const { queue, owned, counters, logger, releaseUnderWay } = this.#parts;
    const release = await releaseUnderWay(sessionId);
    const answer =
      this.#answerAfter(release) ??
      (await queue
        .run(sessionId, () => this.#adopt(sessionId, ifEpoch))
        .catch((error: unknown): AdoptAnswer => {
          const failure = asStickshiftError(error);
          const key = owned.keyOf(sessionId);
          logger.warn({ err: failure, [ATTRIBUTE.sessionKey]: key }, 'a session could not be adopted');
          return { outcome: 'unknown', code: failure.code };
        }));
    counters.adopts[answer.outcome]++;
    return answer;
  }

  /** While a session is let go of, none of its requests may begin here. The caller is to read the record again. */
  #answerAfter(release: ReleaseAnswer | undefined): AdoptAnswer | undefined {
    if (!release || release.outcome === 'not-held') return undefined;
    if (release.outcome === 'unknown') return { outcome: 'unknown', code: 'SESSION_MOVING' };
    return { outcome: 'moved', owner: this.#parts.backend, epoch: release.epoch };
  }

  async #adopt(sessionId: string, ifEpoch: number): Promise<AdoptAnswer> {
    const { backend, store, health, owned, logouts, rehydration, formerOwners, isReady } = this.#parts;
    if (logouts.due(sessionId)) return { outcome: 'ended' };
    if (!isReady())
      throw new StickshiftError('SOURCE_FAILED', 'the agent does not know yet what the app holds');

    const held = await this.#settle(sessionId);
    if (held?.showsUnsaved) {
      throw new StickshiftError(
        'COMMIT_UNKNOWN',
        'the app shows changes of the session that may be lost yet',
      );
    }
    if (held && isAcknowledged(held) && held.epoch >= ifEpoch) return found(held);

    rehydration.assertRoom(sessionId);
    assertSettled(store);
    const key = owned.keyOf(sessionId);
    const result = await health
      .watch(store.adopt(key, { owner: backend, ifEpoch }))
      .catch((error: unknown) => {
        // It may have been taken from an owner all the same. Whoever asks again finds it ours, and cannot tell from whom.
        if (asStickshiftError(error).code !== 'STORE_UNREACHABLE') formerOwners.lost(sessionId);
        throw error;
      });
    switch (result.outcome) {
      case 'absent':
        // A session that the app began meanwhile is no copy of the record that is gone.
        if (held?.proven) await this.#drop(held, 'fenced');
        return { outcome: 'absent' };
      case 'ended':
        await this.#drop(held, 'ended');
        return { outcome: 'ended' };
      case 'moved': {
        const { record } = result;
        if (!this.#isOurs(record, ifEpoch, held)) return this.#movedOn(record, held);
        const stored = await health.watch(store.read(key));
        if (!stored) return { outcome: 'absent' };
        if (stored.epoch !== record.epoch) return this.#movedOn(stored, held);
        // Whoever asked before may have taken it from an owner; the answer is lost.
        formerOwners.lost(sessionId);
        await rehydration.install(sessionId, stored);
        return { outcome: 'found', ...pickCommit(stored) };
      }
      case 'adopted':
        if (result.taken) formerOwners.lost(sessionId);
        await rehydration.install(sessionId, result.record);
        return { outcome: 'found', ...pickCommit(result.record) };
    }
  }

  /**
   * What is held for sure. A session that the app made under this ID may be the one in the record, its first commit
   * unanswered, or another one that must go; only a commit can tell.
   */
  async #settle(sessionId: string): Promise<OwnedSession | undefined> {
    const { owned, committer, health, taken } = this.#parts;
    const session = owned.get(sessionId);
    const isInDoubt = session && (session.mayBeReleased || taken.mayInclude(session.key));
    if (isInDoubt && !(await this.#reclaim(session))) return undefined;
    if (!session || (session.proven && session.inApp)) return session;
    // Begun while the store is away, and acknowledged on the strength of the journal: nobody can know more of it.
    if (!health.isOk && isAcknowledged(session)) return session;
    const result = await committer.commit(session);
    if (result.outcome === 'failed') throw result.failure;
    return owned.get(sessionId);
  }

  /**
   * One epoch up: a release that is still on its way can give nothing up any more. Before, whoever is told that the session is
   * here might go on reading it while another backend adopts what was released, or has taken it over. False when it is lost.
   */
  async #reclaim(session: OwnedSession): Promise<boolean> {
    const { backend, store, health } = this.#parts;
    assertSettled(store);
    const { epoch: ifEpoch } = session;
    const result = await health.watch(store.adopt(session.key, { owner: backend, ifEpoch }));
    if (result.outcome === 'moved' && !this.#isOurs(result.record, ifEpoch, undefined)) {
      await this.#drop(session, 'fenced');
      return false;
    }
    if (result.outcome === 'ended') {
      await this.#drop(session, 'ended');
      return false;
    }
    // Without a record there is nothing that could be released; the next commit writes it.
    if (result.outcome !== 'absent') session.epoch = result.record.epoch;
    session.mayBeReleased = false;
    return true;
  }

  /** The record moved to this very backend: the request was sent twice, or the app lost what we still own. */
  #isOurs(record: RecordSummary, ifEpoch: number, held: OwnedSession | undefined): boolean {
    return (
      record.owner === this.#parts.backend &&
      record.state === 'active' &&
      (record.epoch === ifEpoch + 1 || record.epoch === held?.epoch)
    );
  }

  async #movedOn(record: RecordSummary, held: OwnedSession | undefined): Promise<AdoptAnswer> {
    await this.#drop(held, 'fenced');
    return { outcome: 'moved', owner: record.owner, epoch: record.epoch };
  }

  /** The store knows better than we do. */
  async #drop(held: OwnedSession | undefined, loss: Loss): Promise<void> {
    if (held) await this.#parts.committer.lose(held, loss);
  }
}

/** The app holds the session, and somebody was told that it is kept. */
function isAcknowledged({ proven, journaled, inApp }: OwnedSession): boolean {
  return inApp && (proven || journaled !== undefined);
}

function found(session: OwnedSession): AdoptAnswer {
  const ageMs = Math.round(performance.now() - session.committedAt);
  return { outcome: 'found', epoch: session.epoch, seq: session.committedSeq, ageMs, size: session.size };
}

function pickCommit({ epoch, seq, ageMs, size }: RecordSummary) {
  return { epoch, seq, ageMs, size };
}
