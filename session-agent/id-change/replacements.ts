import type { SessionCommit } from '../../protocol/agent-api.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { Commit, CommitResult } from '../../store/snapshot-store.ts';
import type { Leases } from '../leases/leases.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Logouts } from '../replicator/logouts.ts';
import { REPLACEMENT_TIMES, Replacement, type ReplacementTimes } from './replacement.ts';
import { SuccessorCommits, type SuccessorCommitsParts } from './successor-commits.ts';

export interface ReplacementsParts extends SuccessorCommitsParts {
  readonly queue: SessionQueue;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  readonly leases: Leases;
  readonly logouts: Logouts;
  /** Most that may be under way at once; beyond it an old ID is retired at once, before its successor stands. */
  readonly limit: number;
  /** Has a session that the app wrote committed, and looked after if it is a new one. */
  readonly written: (sessionId: string) => void;
  /** False until the agent knows what the app holds. */
  readonly isReady: () => boolean;
  /** Resolves when every change of the session known now is dealt with, and so many replicas of the store have it. */
  readonly covered: (session: OwnedSession, replicas: number) => Promise<SessionCommit>;
  /** Default: {@link REPLACEMENT_TIMES}. */
  readonly replacementTimes?: ReplacementTimes;
}

/**
 * Sessions that go on under another ID, as at a login. Until the first bytes under the new ID are committed the old record
 * stays as it is, so that an app that dies on the way leaves the session behind under the ID that its user knows. Nothing
 * is committed before the response has ended as far as one can tell: the user would not know the new ID.
 */
export class Replacements {
  readonly #parts: ReplacementsParts;
  readonly #times: ReplacementTimes;
  readonly #commits: SuccessorCommits;
  /** By every ID that is not to be used any more. */
  readonly #byOld = new Map<string, Replacement>();
  readonly #bySuccessor = new Map<string, Replacement>();

  constructor(parts: ReplacementsParts) {
    this.#parts = parts;
    this.#times = parts.replacementTimes ?? REPLACEMENT_TIMES;
    this.#commits = new SuccessorCommits(parts, {
      retired: (replacement, successor) => this.#retired(replacement, successor),
      advanced: (replacement, standing, standingKey) => this.#advance(replacement, standing, standingKey),
    });
  }

  get size(): number {
    return this.#bySuccessor.size;
  }

  /** The replacement that takes this ID away; `undefined` when none is under way. */
  retiring(sessionId: string): Replacement | undefined {
    return this.#byOld.get(sessionId);
  }

  /** The replacement that the session has a part in, by its old or its new ID. */
  of(sessionId: string): Replacement | undefined {
    return this.#byOld.get(sessionId) ?? this.#bySuccessor.get(sessionId);
  }

  /**
   * The app goes on with the session under another ID. Resolves when nothing is under way any more; whether the old ID
   * was retired shows in its record. Rejects with the store's error when it was to be retired by itself, and is not yet.
   */
  async begin(old: string, successor: string): Promise<void> {
    const { owned, losses, logouts, limit } = this.#parts;
    const known = this.#byOld.get(old);
    if (known) {
      // Said again after a reconnect; or two requests of one session got a new ID each, and one retirement is enough.
      if (known.successor === successor) this.#confirm(known);
      return known.over;
    }
    if (losses.isEnded(old) && !owned.get(old)) return;
    const isUsable =
      old !== successor && !this.of(successor) && (!losses.isEnded(successor) || owned.get(successor));
    if (!isUsable || logouts.due(old) || this.#bySuccessor.size >= limit) return logouts.end(old);

    const former = this.#bySuccessor.get(old);
    const isOnItsWay = former && (owned.get(old)?.committedSeq ?? 0) === 0;
    // The session between the two has a record of its own by now, which has to be retired as well.
    if (former && !isOnItsWay) this.#retireAlone(former);
    const replacement = isOnItsWay ? this.#goOn(former, successor) : this.#add(old, successor);
    return replacement.over;
  }

  /** The app changed a session. True when that is not to be looked after, or not yet. */
  takesChange(sessionId: string): boolean {
    const retiring = this.#byOld.get(sessionId);
    if (retiring) {
      retiring.isLate = true;
      this.#forgetLater(sessionId);
      return true;
    }
    const replacement = this.#bySuccessor.get(sessionId);
    if (replacement?.state !== 'open') return false;
    if (!replacement.isWritten) replacement.after(this.#times.written, () => this.#makeDue(replacement));
    replacement.isWritten = true;
    return true;
  }

  /** A response that names the session has ended: whatever the app wanted to write by then is written, or comes right away. */
  answered(sessionId: string, replicas: number): void {
    const replacement = this.of(sessionId);
    if (replacement) replacement.replicas = Math.max(replacement.replicas, replicas);
    if (replacement?.state !== 'open' || !replacement.isConfirmed) return;
    // One that names the old ID only may be that of a request beside, which ends before the one that changes the ID.
    if (replacement.isWritten && sessionId === replacement.successor) this.#makeDue(replacement);
    else if (!replacement.isWritten)
      replacement.after(this.#times.named, () => this.#retireAlone(replacement));
  }

  /** Retires an old ID together with the first commit of a session that is looked after already. */
  link(old: string, successor: OwnedSession, replicas: number): void {
    const replacement = this.#add(old, successor.id);
    replacement.replicas = replicas;
    replacement.isUnguarded = true;
    // What a request beside has written into a file that is gone, nobody has seen.
    replacement.isLate = true;
    replacement.state = 'due';
    clearTimeout(replacement.timer);
    void this.#watch(replacement, successor);
  }

  /** Retires the old ID by itself if nothing was written under the new one. */
  retireUnwritten(replacement: Replacement): void {
    const { state, isWritten, isConfirmed } = replacement;
    if (state === 'open' && isConfirmed && !isWritten) this.#retireAlone(replacement);
  }

  /** The app logged a session out. Names every ID that ends with it. */
  loggedOut(sessionId: string): string[] {
    const replacement = this.of(sessionId);
    if (!replacement) return [sessionId];
    const successor =
      replacement.state === 'open' && replacement.isWritten ? replacement.successor : undefined;
    this.#remove(replacement);
    // Who logs the old ID out does not mean the session that another request has begun.
    if (successor !== undefined && successor !== sessionId) this.#parts.written(successor);
    return [...new Set([sessionId, ...replacement.retiring])];
  }

  /** The app is away: what it has not written yet it may never write. */
  detached(): void {
    for (const replacement of this.#bySuccessor.values()) {
      replacement.isConfirmed = false;
      if (replacement.state === 'open') clearTimeout(replacement.timer);
    }
  }

  /** The app has said what it holds. What it did not say again died with another process, and the old ID is good again. */
  attached(): void {
    for (const replacement of this.#bySuccessor.values()) {
      if (replacement.state === 'open' && !replacement.isConfirmed) this.#giveUp(replacement);
    }
  }

  /** The agent stops: nothing waits any longer. */
  hasten(): void {
    for (const replacement of this.#bySuccessor.values()) {
      if (replacement.state !== 'open') continue;
      if (replacement.isWritten) this.#makeDue(replacement);
      else if (replacement.isConfirmed) this.#retireAlone(replacement);
    }
  }

  stop(): void {
    for (const replacement of this.#bySuccessor.values()) clearTimeout(replacement.timer);
  }

  /** Commits a session's bytes and retires the ID that it had before; `undefined` when it had none. */
  commit(session: OwnedSession, commit: Commit): Promise<CommitResult> | undefined {
    const { owned, queue } = this.#parts;
    // The app gave this ID up as well while its commit was being prepared.
    if (!owned.isCurrent(session)) return Promise.resolve({ outcome: 'ended' });
    const replacement = this.#bySuccessor.get(session.id);
    // In turn with whatever else is done to the old record.
    return replacement && queue.run(replacement.old, () => this.#commits.write(replacement, session, commit));
  }

  #add(old: string, successor: string): Replacement {
    const replacement = new Replacement(old, this.#parts.owned.keyOf(old), successor);
    this.#byOld.set(old, replacement);
    this.#bySuccessor.set(successor, replacement);
    replacement.after(this.#times.silence, () => this.#retireAlone(replacement));
    return replacement;
  }

  /** The ID changes a second time before anything stands under the first new one. */
  #goOn(replacement: Replacement, successor: string): Replacement {
    const { owned, losses } = this.#parts;
    const former = replacement.successor;
    replacement.between.push(former);
    replacement.successor = successor;
    replacement.state = 'open';
    replacement.isWritten = false;
    this.#bySuccessor.delete(former);
    this.#bySuccessor.set(successor, replacement);
    this.#byOld.set(former, replacement);
    losses.note(former, 'ended');
    const session = owned.get(former);
    if (session) owned.delete(session, { outcome: 'ended' });
    replacement.after(this.#times.silence, () => this.#retireAlone(replacement));
    return replacement;
  }

  #confirm(replacement: Replacement): void {
    if (replacement.isConfirmed) return;
    replacement.isConfirmed = true;
    if (replacement.state !== 'open') return;
    if (replacement.isWritten) replacement.after(this.#times.written, () => this.#makeDue(replacement));
    else replacement.after(this.#times.silence, () => this.#retireAlone(replacement));
  }

  #makeDue(replacement: Replacement): void {
    if (replacement.state !== 'open') return;
    const { owned, written, isReady } = this.#parts;
    // Whose the sessions of the app are is being found out; until then nothing of a new one is looked after.
    if (!isReady()) {
      replacement.after(this.#times.written, () => this.#makeDue(replacement));
      return;
    }
    clearTimeout(replacement.timer);
    replacement.state = 'due';
    written(replacement.successor);
    const session = owned.get(replacement.successor);
    // One more than the agent may look after: it lives on this backend only, as any other.
    if (session) void this.#watch(replacement, session);
    else this.#retireAlone(replacement);
  }

  /** What becomes of the successor decides about the old ID, unless its commit has done so. */
  async #watch(replacement: Replacement, session: OwnedSession): Promise<void> {
    const { outcome } = await this.#parts.covered(session, replacement.replicas);
    if (replacement.state !== 'due' || replacement.successor !== session.id) return;
    switch (outcome) {
      // It stood already, or never will here; either way the app goes on with it and not with the old one.
      case 'committed':
      case 'unprotected':
      case 'not-held':
        this.#retireAlone(replacement);
        return;
      default:
        this.#giveUp(replacement);
    }
  }

  /** The old ID's tombstone and the successor's bytes stand. */
  #retired(replacement: Replacement, { id, key }: OwnedSession): void {
    // Another change of ID came while this commit was under way: this ID is now the one to be retired.
    if (replacement.successor !== id) {
      this.#advance(replacement, id, key);
      return;
    }
    for (const sessionId of replacement.retiring) this.#retireLocally(sessionId, replacement.isLate);
    this.#remove(replacement);
  }

  /** The session stands under an ID that was to be one of those in between. */
  #advance(replacement: Replacement, standing: string, standingKey: SessionKey): void {
    const { between, isLate } = replacement;
    const retired = [replacement.old, ...between.splice(0, between.indexOf(standing) + 1)];
    for (const sessionId of retired) {
      if (sessionId === standing) continue;
      this.#byOld.delete(sessionId);
      this.#retireLocally(sessionId, isLate);
    }
    replacement.old = standing;
    replacement.oldKey = standingKey;
    replacement.attempts.length = 0;
  }

  #retireLocally(sessionId: string, isLate: boolean): void {
    const { owned, losses, leases } = this.#parts;
    losses.note(sessionId, isLate ? 'late' : 'ended');
    leases.tell([sessionId]);
    const session = owned.get(sessionId);
    if (session) owned.delete(session, { outcome: 'ended' });
    owned.dropOverflow(sessionId);
    this.#forgetLater(sessionId);
  }

  /** An ordinary logout of the old ID, whatever becomes of the new one. */
  #retireAlone(replacement: Replacement): void {
    const { logouts, written } = this.#parts;
    if (replacement.state === 'over') return;
    const isUnsaved = replacement.state === 'open' && replacement.isWritten;
    this.#remove(replacement);
    for (const sessionId of replacement.retiring) logouts.retire(sessionId, replacement.isLate);
    if (isUnsaved) written(replacement.successor);
  }

  /** The session goes on under its old ID, and nothing of the new one is kept. */
  #giveUp(replacement: Replacement): void {
    const { owned } = this.#parts;
    this.#remove(replacement);
    const old = owned.get(replacement.old);
    // The app has let go of it: it gets the session back when it asks, or when a gateway does. What it might begin under this ID
    // without asking must not be taken for a change of the session; under an ID that nobody knows the store refuses it.
    if (old && replacement.isUnguarded) owned.delete(old, { outcome: 'unknown', code: 'COMMIT_UNKNOWN' });
    else if (old) old.inApp = false;
    const session = owned.get(replacement.successor);
    if (session) owned.delete(session, { outcome: 'unknown', code: 'COMMIT_UNKNOWN' });
  }

  #remove(replacement: Replacement): void {
    this.#bySuccessor.delete(replacement.successor);
    for (const sessionId of replacement.retiring) this.#byOld.delete(sessionId);
    replacement.finish();
  }

  #forgetLater(sessionId: string): void {
    const { queue, forgetter, owned } = this.#parts;
    const key: SessionKey = owned.keyOf(sessionId);
    void queue.run(sessionId, () => forgetter.forget(sessionId, key));
  }
}
