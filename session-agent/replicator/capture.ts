import type { Logger } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Journal } from '../journal/journal.ts';
import type { Leases } from '../leases/leases.ts';
import type { OwnedSession, UnprotectedReason } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { CapturedSession, SessionSource } from '../sources/session-source.ts';
import { digestOf, type FreshBytes } from './fresh-bytes.ts';
import type { UncommittedBytes } from './uncommitted-bytes.ts';

export type CaptureResult =
  | ({ readonly outcome: 'fresh' } & FreshBytes)
  /** The store has these very bytes. */
  | { readonly outcome: 'same' }
  /** The app does not hold the session, or says itself that it has expired. */
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'unprotected' }
  | { readonly outcome: 'failed'; readonly failure: StickshiftError };

const NOT_HELD: SessionCommit = { outcome: 'not-held' };

/** A file's time has fractions, and a session without an end may say Infinity; the store takes neither. */
function inWholeMs(captured: CapturedSession | undefined): CapturedSession | undefined {
  return captured && { data: captured.data, idleAt: wholeMs(captured.idleAt) };
}

export function wholeMs(time: number): number {
  return Math.min(Math.trunc(time), Number.MAX_SAFE_INTEGER);
}

export interface CaptureParts {
  readonly source: SessionSource;
  readonly owned: OwnedSessions;
  /** Largest session that is saved, bytes. */
  readonly maxSession: number;
  readonly uncommitted: UncommittedBytes;
  readonly losses: RecentLosses;
  readonly journal: Journal | undefined;
  readonly leases: Leases;
  readonly logger: Logger;
}

/** Gets a session's bytes out of the app and decides whether they must, and may, be committed. */
export class Capture {
  readonly #parts: CaptureParts;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
  }

  /**
   * What the app holds or, if that is gone, what it held when it was last captured for a commit that came to nothing.
   *
   * @param again - bytes that the store holds already are due as well
   */
  async take(session: OwnedSession, again = false): Promise<CaptureResult> {
    const { source, owned, maxSession, uncommitted } = this.#parts;
    const changes = session.beginCapture();
    let captured: CapturedSession | undefined;
    try {
      captured = inWholeMs(await source.capture(session.id));
    } catch (error) {
      const failure = asStickshiftError(error);
      // SOURCE_FAILED says that the app cannot be reached, which passes; anything else is about this session.
      if (failure.code === 'SOURCE_FAILED') {
        const kept = await uncommitted.find(session);
        return kept ? { outcome: 'fresh', ...kept } : { outcome: 'failed', failure };
      }
      this.giveUp(session, changes, 'not-capturable', failure);
      return { outcome: 'unprotected' };
    }
    if (!captured || captured.idleAt <= Date.now()) {
      const kept = captured ? undefined : await uncommitted.find(session);
      if (kept) {
        this.#leftApp(session);
        return { outcome: 'fresh', ...kept };
      }
      const hasExpired = captured !== undefined || (session.idleAt > 0 && session.idleAt <= Date.now());
      const answer = session.isDirty && !hasExpired ? this.#lost(session) : NOT_HELD;
      if (!captured) this.#leftApp(session);
      owned.markCovered(session, changes);
      uncommitted.drop(session);
      session.settle(changes, answer);
      // With a record it may come back, when the app asks for it; without one there is nothing left of it.
      if (session.committedSeq === 0) owned.delete(session, answer);
      return { outcome: 'gone' };
    }
    session.idleAt = captured.idleAt;
    if (captured.data.byteLength > maxSession) {
      this.giveUp(session, changes, 'too-large');
      return { outcome: 'unprotected' };
    }
    const digest = digestOf(captured.data);
    if (session.committedSeq > 0 && session.digest === digest && !again) {
      this.covered(session, changes);
      return { outcome: 'same' };
    }
    const fresh = { captured, digest, changes };
    uncommitted.put(session, fresh);
    return { outcome: 'fresh', ...fresh };
  }

  /** An app like PHP would begin an empty session: gateways are to ask before they send it another request. */
  #leftApp(session: OwnedSession): void {
    if (session.inApp) this.#parts.leases.tell([session.id]);
    session.inApp = false;
  }

  /** The app told of a change and has it no more: whoever answered for it must not be believed. */
  #lost(session: OwnedSession): SessionCommit {
    const { losses, logger } = this.#parts;
    losses.note(session.id, 'gone');
    logger.warn(
      { [ATTRIBUTE.sessionKey]: session.key },
      'a change was lost with the app before it was saved',
    );
    return { outcome: 'unknown', code: 'SOURCE_FAILED' };
  }

  /** The store holds the first `changes` changes. */
  covered(session: OwnedSession, changes: number): void {
    const { owned, uncommitted, losses, journal, logger } = this.#parts;
    owned.markCovered(session, changes);
    losses.clear(session.id);
    if (!session.isDirty) uncommitted.drop(session);
    if (session.journaled && session.journaled.changes <= session.covered) {
      session.journaled = undefined;
      journal?.settle(session.key);
    }
    if (owned.markProtected(session)) {
      logger.info({ [ATTRIBUTE.sessionKey]: session.key }, 'session is protected again');
    }
    session.failures = 0;
    session.lastFailure = undefined;
    session.journalFailure = undefined;
    session.settle(session.covered, {
      outcome: 'committed',
      epoch: session.epoch,
      seq: session.committedSeq,
    });
  }

  /** The session's bytes will not reach the store until they change. Logged once in a session's life. */
  giveUp(session: OwnedSession, changes: number, reason: UnprotectedReason, failure?: Error): void {
    const { owned, uncommitted, logger } = this.#parts;
    uncommitted.drop(session);
    if (owned.markUnprotected(session, reason)) {
      logger.warn(
        { err: failure, [ATTRIBUTE.sessionKey]: session.key, reason },
        'session is unprotected: it lives on this backend only',
      );
    }
    owned.markCovered(session, changes);
    session.settle(changes, { outcome: 'unprotected' });
  }
}
