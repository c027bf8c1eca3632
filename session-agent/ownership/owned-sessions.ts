import type { SessionCommit } from '../../protocol/agent-api.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { OwnedSession, type UnprotectedReason } from './owned-session.ts';

/** IDs beyond the limit that are remembered one by one; above it they are counted as one. */
const OVERFLOW_LIMIT = 10_000;

/** The sessions that this agent looks after, with the sums that status and metrics show. */
export class OwnedSessions {
  readonly #byId = new Map<string, OwnedSession>();
  readonly #dirty = new Set<OwnedSession>();
  readonly #overflow = new Set<string>();
  readonly #limit: number;
  readonly #deriveKey: (sessionId: string) => SessionKey;
  #unprotected = 0;
  /** Called for every session that begins to be looked after. */
  onAdded: (session: OwnedSession) => void = () => undefined;
  /** Called for every session that is not looked after any more. */
  onDeleted: (session: OwnedSession, answer: SessionCommit) => void = () => undefined;

  constructor(limit: number, deriveKey: (sessionId: string) => SessionKey) {
    this.#limit = limit;
    this.#deriveKey = deriveKey;
  }

  get size(): number {
    return this.#byId.size;
  }

  get dirty(): ReadonlySet<OwnedSession> {
    return this.#dirty;
  }

  /** Sessions that are not saved: too large, not capturable, or more than the agent may look after. */
  get unprotected(): number {
    return this.#unprotected + this.#overflow.size;
  }

  /** Sessions that the app holds and that nobody else can have yet. */
  get remaining(): number {
    return this.#byId.size + this.#overflow.size;
  }

  get isFull(): boolean {
    return this.#byId.size >= this.#limit;
  }

  /** Milliseconds since the oldest change that is not in the store; 0 when there is none. */
  exposureMs(now = performance.now()): number {
    let oldest = now;
    for (const session of this.#dirty) oldest = Math.min(oldest, session.dirtySince ?? now);
    return now - oldest;
  }

  get(id: string): OwnedSession | undefined {
    return this.#byId.get(id);
  }

  /** Whether `session` is still the one looked after; a step that waited must ask again. */
  isCurrent(session: OwnedSession): boolean {
    return this.#byId.get(session.id) === session;
  }

  keyOf(id: string): SessionKey {
    return this.#byId.get(id)?.key ?? this.#deriveKey(id);
  }

  values(): MapIterator<OwnedSession> {
    return this.#byId.values();
  }

  /** Starts to look after a session, in place of what was known of it; `undefined` when the agent is full. */
  add(id: string): OwnedSession | undefined {
    const before = this.#byId.get(id);
    // Whoever waits for a change of `before` cannot be told that what takes its place has it.
    if (before) this.delete(before, { outcome: 'unknown', code: 'SESSION_MOVING' });
    if (this.isFull) return undefined;
    const session = new OwnedSession(id, this.#deriveKey(id));
    this.#byId.set(id, session);
    this.#overflow.delete(id);
    this.onAdded(session);
    return session;
  }

  /** Notes a session beyond the limit; true the first time. */
  addOverflow(id: string): boolean {
    if (this.#overflow.has(id) || this.#overflow.size >= OVERFLOW_LIMIT) return false;
    this.#overflow.add(id);
    return true;
  }

  dropOverflow(id: string): void {
    this.#overflow.delete(id);
  }

  /** Stops looking after a session. Whoever waits for its commit is told `answer`. */
  delete(session: OwnedSession, answer: SessionCommit): void {
    if (!this.isCurrent(session)) return;
    this.#byId.delete(session.id);
    this.#dirty.delete(session);
    if (session.unprotected) this.#unprotected--;
    session.settle(session.changes, answer);
    this.onDeleted(session, answer);
  }

  markChanged(session: OwnedSession): void {
    const now = performance.now();
    session.changes++;
    session.dirtySince ??= now;
    session.changedSinceCapture ??= now;
    if (this.isCurrent(session)) this.#dirty.add(session);
  }

  /** The first `changes` changes are dealt with. */
  markCovered(session: OwnedSession, changes: number): void {
    session.covered = Math.max(session.covered, changes);
    session.dirtySince = session.isDirty ? session.changedSinceCapture : undefined;
    if (!session.isDirty) this.#dirty.delete(session);
  }

  /** The session's current bytes are not going to be saved. True the first time in its life. */
  markUnprotected(session: OwnedSession, reason: UnprotectedReason): boolean {
    if (!session.unprotected) this.#unprotected++;
    session.unprotected = reason;
    const first = !session.unprotectedLogged;
    session.unprotectedLogged = true;
    return first;
  }

  /** It can be saved again. True when it could not before. */
  markProtected(session: OwnedSession): boolean {
    if (!session.unprotected) return false;
    session.unprotected = undefined;
    this.#unprotected--;
    return true;
  }
}
