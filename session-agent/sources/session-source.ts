/** A session's bytes as an app holds them, never half-written. */
export interface CapturedSession {
  readonly data: Uint8Array;
  /** Idle deadline that the app gives the session, milliseconds since 1970. */
  readonly idleAt: number;
}

/**
 * How a session left an app. `removed`: by a request that may still be under way, and that may be a logout or have moved the
 * session to another ID; if that request dies, the session must not be gone. It counts as a logout as soon as a commit is asked
 * for it, or when the session has not come back for half a minute.
 */
export type SessionEnd = 'logout' | 'removed' | 'expired';

/** What a source tells the agent. All session IDs are the app's own. */
export interface SourceListener {
  /**
   * The session has, or may have, new bytes. Also told of a session that has left the app as a `logout` or was replaced, when
   * the app wanted to change it all the same: that is refused, but must not be acknowledged.
   */
  changed(id: string): void;
  /** The session was used; its bytes are the same. */
  touched(id: string, idleAt: number): void;
  /**
   * The session is gone from the app. A `logout` resolves when its tombstone stands, and rejects when that could not
   * be brought about in time; the others resolve at once.
   */
  ended(id: string, how: SessionEnd): Promise<void>;
  /**
   * The app goes on with the session under another ID; the old one is retired when the successor's first bytes stand. Resolves
   * when nothing is under way any more; rejects as for a `logout`.
   */
  replaced(id: string, successor: string): Promise<void>;
  /**
   * The app was asked for a session that it does not hold. Resolves with the bytes when this backend owns the session
   * or may take it, with `undefined` when no record of it exists, and rejects when that cannot be known.
   */
  missed(id: string): Promise<CapturedSession | undefined>;
  /** The app (again) holds sessions that the agent may not know of, or lost ones: reconcile with {@link SessionSource.list}. */
  attached(): void;
  /** The app cannot be reached any more. */
  detached(reason: string): void;
}

/**
 * How session bytes get out of an app and back in. One contract suite, `test/contract/session-source.ts`, runs against
 * every source. Operations reject with a `StickshiftError` `SOURCE_FAILED` when the app cannot be reached.
 */
export interface SessionSource {
  readonly kind: 'express' | 'files';
  start(listener: SourceListener): Promise<void>;
  /** Ends all watching and listening. The app keeps its sessions. */
  stop(): Promise<void>;
  /** IDs of the sessions that the app holds now. */
  list(): Promise<string[]>;
  /**
   * Tells the listener of every change to this session that the app has finished but the source has not reported yet,
   * before it resolves. The agent calls it before it answers a commit: a watch event may arrive after the response it
   * belongs to. Resolves at once where changes cannot be late (the express source); rejects with `SOURCE_FAILED` when
   * the app does not finish with the session in time. An `ended` that it reports has been called, not awaited.
   */
  refresh(id: string): Promise<void>;
  /**
   * The session's bytes, or `undefined` when the app does not hold it. Rejects with `SESSION_UNPROTECTED` when this
   * session cannot be captured and trying again is of no use.
   */
  capture(id: string): Promise<CapturedSession | undefined>;
  /** Puts the session into the app; replaces what it holds. Resolves when the next request will find it. */
  install(id: string, session: CapturedSession): Promise<void>;
  /** Takes the session out of the app without ending it. Nothing happens when the app does not hold it. */
  forget(id: string): Promise<void>;
}
