import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { OwnedSession, UnprotectedReason } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { CapturedSession, SessionSource } from '../sources/session-source.ts';

/** Bytes that are due for a commit, and how many of the session's changes they hold. */
export interface FreshBytes {
  readonly captured: CapturedSession;
  readonly digest: string;
  readonly changes: number;
}

export type CaptureResult =
  | ({ readonly outcome: 'fresh' } & FreshBytes)
  /** The store has these very bytes. */
  | { readonly outcome: 'same' }
  /** The app does not hold the session, or says itself that it has expired. */
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'unprotected' }
  | { readonly outcome: 'failed'; readonly failure: StickshiftError };

const NOT_HELD: SessionCommit = { outcome: 'not-held' };

/** By this, bytes that the store holds already are recognised. */
export function digestOf(data: Uint8Array): string {
  return hash('sha256', data, 'base64');
}

/** A file's time has fractions, and a session without an end may say Infinity; the store takes neither. */
function inWholeMs(captured: CapturedSession | undefined): CapturedSession | undefined {
  return captured && { data: captured.data, idleAt: wholeMs(captured.idleAt) };
}

export function wholeMs(time: number): number {
  return Math.min(Math.trunc(time), Number.MAX_SAFE_INTEGER);
}

/** Gets a session's bytes out of the app and decides whether they must, and may, be committed. */
export class Capture {
  readonly #source: SessionSource;
  readonly #owned: OwnedSessions;
  readonly #maxSession: number;
  readonly #logger: Logger;

  constructor(source: SessionSource, owned: OwnedSessions, maxSession: number, logger: Logger) {
    this.#source = source;
    this.#owned = owned;
    this.#maxSession = maxSession;
    this.#logger = logger;
  }

  async take(session: OwnedSession): Promise<CaptureResult> {
    const changes = session.beginCapture();
    let captured: CapturedSession | undefined;
    try {
      captured = inWholeMs(await this.#source.capture(session.id));
    } catch (error) {
      const failure = asStickshiftError(error);
      // SOURCE_FAILED says that the app cannot be reached, which passes; anything else is about this session.
      if (failure.code === 'SOURCE_FAILED') return { outcome: 'failed', failure };
      this.giveUp(session, changes, 'not-capturable', failure);
      return { outcome: 'unprotected' };
    }
    if (!captured || captured.idleAt <= Date.now()) {
      const hasExpired = captured !== undefined || (session.idleAt > 0 && session.idleAt <= Date.now());
      const answer = session.isDirty && !hasExpired ? this.#lost(session) : NOT_HELD;
      session.inApp = captured !== undefined;
      this.#owned.markCovered(session, changes);
      session.settle(changes, answer);
      // With a record it may come back, when the app asks for it; without one there is nothing left of it.
      if (session.committedSeq === 0) this.#owned.delete(session, answer);
      return { outcome: 'gone' };
    }
    session.idleAt = captured.idleAt;
    if (captured.data.byteLength > this.#maxSession) {
      this.giveUp(session, changes, 'too-large');
      return { outcome: 'unprotected' };
    }
    const digest = digestOf(captured.data);
    if (session.committedSeq > 0 && session.digest === digest) {
      this.covered(session, changes);
      return { outcome: 'same' };
    }
    return { outcome: 'fresh', captured, digest, changes };
  }

  /** The app told of a change and has it no more: whoever answered for it must not be believed. */
  #lost(session: OwnedSession): SessionCommit {
    this.#logger.warn(
      { [ATTRIBUTE.sessionKey]: session.key },
      'a change was lost with the app before it was saved',
    );
    return { outcome: 'unknown', code: 'COMMIT_UNKNOWN' };
  }

  /** The store holds the first `changes` changes. */
  covered(session: OwnedSession, changes: number): void {
    this.#owned.markCovered(session, changes);
    if (this.#owned.markProtected(session)) {
      this.#logger.info({ [ATTRIBUTE.sessionKey]: session.key }, 'session is protected again');
    }
    session.failures = 0;
    session.lastFailure = undefined;
    session.settle(session.covered, {
      outcome: 'committed',
      epoch: session.epoch,
      seq: session.committedSeq,
    });
  }

  /** The session's bytes will not reach the store until they change. Logged once in a session's life. */
  giveUp(session: OwnedSession, changes: number, reason: UnprotectedReason, failure?: Error): void {
    if (this.#owned.markUnprotected(session, reason)) {
      this.#logger.warn(
        { err: failure, [ATTRIBUTE.sessionKey]: session.key, reason },
        'session is unprotected: it lives on this backend only',
      );
    }
    this.#owned.markCovered(session, changes);
    session.settle(changes, { outcome: 'unprotected' });
  }
}
