import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Counters } from '../counters.ts';
import type { Journal } from '../journal/journal.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { TakenSessions } from '../takeover/taken-sessions.ts';
import type { Capture } from './capture.ts';
import type { Committer } from './committer.ts';
import type { UnsavedWrites } from './unsaved-writes.ts';

export interface JournalingParts {
  /** Without one, nothing is ever journaled. */
  readonly journal: Journal | undefined;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly capture: Capture;
  readonly committer: Committer;
  /** Nobody is told that a change is safe of a session that another backend may have, or may be given now. */
  readonly taken: Pick<TakenSessions, 'mayBeTaken'>;
  readonly unsaved: UnsavedWrites;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** Until what stands in the way of the journal is looked at again, milliseconds. */
const LATER_MS = 100;

/** Saves on the agent's disk what cannot be committed now, for those for whom that will do. */
export class Journaling {
  readonly #parts: JournalingParts;
  readonly #underWay = new Set<OwnedSession>();

  constructor(parts: JournalingParts) {
    this.#parts = parts;
  }

  /** Journals what those who wait for this session's commit wait for. Who does not want that, or cannot be helped so, waits on. */
  async save(session: OwnedSession): Promise<void> {
    const { journal, owned, queue } = this.#parts;
    if (!journal || this.#underWay.has(session)) return;
    this.#underWay.add(session);
    try {
      // Again for changes that came meanwhile.
      while (session.awaitsJournal && owned.isCurrent(session)) {
        const step = await queue.run(session.id, () => this.#write(journal, session));
        if (step === 'helpless') break;
        if (step === 'later') {
          this.#parts.unsaved.note([session]);
          await sleep(LATER_MS);
        }
      }
    } catch (error) {
      session.journalFailure = asStickshiftError(error).code;
      this.#parts.unsaved.note([session]);
    } finally {
      this.#underWay.delete(session);
    }
  }

  /** A session that is not looked after any more needs no entry. What it says may be lost with it. */
  dropped(session: OwnedSession, answer: SessionCommit): void {
    const { journal, counters, logger } = this.#parts;
    if (!session.journaled) {
      // Nobody will be told of an entry that is on its way to the disk, and nothing would ever settle it.
      if (this.#underWay.has(session)) journal?.settle(session.key);
      return;
    }
    session.journaled = undefined;
    journal?.settle(session.key);
    if (answer.outcome !== 'fenced' && answer.outcome !== 'unknown') return;
    counters.lostAtTakeover++;
    logger.warn(
      { [ATTRIBUTE.sessionKey]: session.key },
      'changes that were acknowledged from the journal are lost: another backend took the session over before the store was back',
    );
  }

  /** `helpless`: there is nothing that this can do. Runs inside the session's queue. */
  async #write(journal: Journal, session: OwnedSession): Promise<'told' | 'later' | 'helpless'> {
    const { owned, capture, committer, taken } = this.#parts;
    if (!owned.isCurrent(session) || !session.awaitsJournal) return 'helpless';
    if (taken.mayBeTaken(session.key)) return 'later';
    if (!session.isJournaled) {
      const bytes = await capture.take(session);
      if (bytes.outcome !== 'fresh') return 'helpless';
      // The app is gone, and with it what those who wait are waiting for.
      if (session.journaled && session.journaled.changes >= bytes.changes) return 'helpless';
      const { seq, snapshot } = await committer.seal(session, bytes);
      if (!owned.isCurrent(session)) return 'helpless';
      const { key, epoch, proven, doubt, absoluteAt } = session;
      // A first commit must have the seq that it would have had without this one; see the committer.
      if (!proven) session.seq--;
      const deadlines = { idleAt: bytes.captured.idleAt, absoluteAt };
      await journal.append({ kind: 'snapshot', key, epoch, seq, deadlines, proven, doubt, snapshot });
      if (!owned.isCurrent(session)) return 'helpless';
      session.journaled = { changes: bytes.changes, seq };
      session.journalFailure = undefined;
    }
    // This process may have stood still while it wrote.
    if (taken.mayBeTaken(session.key)) return 'later';
    const { changes, seq } = session.journaled ?? { changes: 0, seq: 0 };
    session.settle(changes, { outcome: 'journaled', epoch: session.epoch, seq });
    return 'told';
  }
}
