import type { SessionCommit } from '../../protocol/agent-api.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { Deadlines } from '../../store/snapshot-store.ts';

/** Why the store does not hold a session's current bytes, and will not. */
export type UnprotectedReason = 'too-large' | 'not-capturable';

/** Somebody who wants to know when the first `changes` changes of a session are in the store. */
export interface CommitWaiter {
  readonly changes: number;
  /** How many replicas of the store must have them as well; 0: none. */
  readonly replicas: number;
  /** While the store is away, the journal will do. */
  readonly journal: boolean;
  settle(commit: SessionCommit): void;
}

/** One object for all sessions: most never go to replicas, and there may be a million of them. */
export const ON_NO_REPLICA: { readonly seq: number; readonly replicas: number } = { seq: 0, replicas: 0 };

/** One session that this agent looks after. {@link OwnedSessions} and the replicator are the only ones to change it. */
export class OwnedSession {
  readonly id: string;
  readonly key: SessionKey;

  epoch = 1;
  /** Number of the last commit that was tried. Never tried again with other bytes, for its fate may be unknown. */
  seq = 0;
  /** Number of the last commit that the store confirmed; 0 before the first. */
  committedSeq = 0;
  /**
   * A record with our name and this epoch can only be our own work. False for a session that the app made: until its
   * first commit stands, the record may be an earlier session's, and then it must not be overwritten.
   */
  proven = false;
  /** Sealing of a first commit whose fate is unknown, by which it would be recognised. */
  doubt: string | undefined;

  /** Changes that the app has told of, counted. */
  changes = 0;
  /** How many of {@link changes} the store holds, or never will because the session is unprotected. */
  covered = 0;
  /** `performance.now()` of the oldest change that is not covered. */
  dirtySince: number | undefined;
  /** The same among the changes since the last capture began. */
  changedSinceCapture: number | undefined;

  idleAt = 0;
  /** Idle deadline as the store has it. */
  storedIdleAt = 0;
  absoluteAt: number | undefined;

  /** The newest commit in the journal, and how many of {@link changes} it holds; none when the store has those changes. */
  journaled: { readonly changes: number; readonly seq: number } | undefined;
  /** The newest commit that replicas of the store have, and how many of them. */
  replicated = ON_NO_REPLICA;
  /** How many replicas were asked for last. They will be again, so a commit that nobody waits for yet goes to them too. */
  usualReplicas = 0;
  /** How many of {@link changes} there were when a gateway was last told that all are saved. */
  answeredChanges = 0;

  /** Hash of the bytes last committed: the same bytes need no new commit. */
  digest = '';
  /** Bytes of the sealed snapshot last committed. */
  size = 0;
  /** `performance.now()` of that commit. */
  committedAt = 0;

  /** False while the app is known not to hold the session; it is then brought back when the app asks for it. */
  inApp = true;
  /** The app made the session, or named it when it last attached. False for one that was put in from its record since. */
  fromApp = true;
  /** A release was sent and its answer is lost: the record may be given up already, or at any time. Nobody may be told that it is here. */
  mayBeReleased = false;
  unprotected: UnprotectedReason | undefined;
  unprotectedLogged = false;
  /** Failures in a row that concern this session alone. */
  failures = 0;
  /** Code of the last failure, for those who waited in vain. */
  lastFailure: string | undefined;
  /** Why the journal did not take it, for those who would have been content with that. */
  journalFailure: string | undefined;
  readonly waiters = new Set<CommitWaiter>();
  /** How many of {@link changes} there were when it was noted that they are awaited and cannot be saved; see `UnsavedWrites`. */
  #unsaved = 0;

  constructor(id: string, key: SessionKey) {
    this.id = id;
    this.key = key;
  }

  get deadlines(): Deadlines {
    return { idleAt: this.idleAt, absoluteAt: this.absoluteAt };
  }

  get expiresAt(): number {
    return Math.min(this.idleAt, this.absoluteAt ?? Number.POSITIVE_INFINITY);
  }

  get isDirty(): boolean {
    return this.changes > this.covered;
  }

  /** Whether the journal has every change that the app has told of. */
  get isJournaled(): boolean {
    return this.journaled !== undefined && this.journaled.changes >= this.changes;
  }

  noteUnsaved(): void {
    this.#unsaved = this.changes;
  }

  /** The app shows changes that somebody waits for, and that may be lost yet. */
  get showsUnsaved(): boolean {
    return (
      this.#unsaved > this.covered &&
      !(this.journaled !== undefined && this.journaled.changes >= this.#unsaved)
    );
  }

  /** Whether replicas have all that the store has; always true for 0 of them. */
  isOnReplicas(replicas: number): boolean {
    if (replicas === 0) return true;
    return this.replicated.seq === this.committedSeq && this.replicated.replicas >= replicas;
  }

  /** How many replicas those who wait ask for at most, and have not got. */
  get wantedReplicas(): number {
    let wanted = 0;
    for (const { replicas } of this.waiters)
      if (!this.isOnReplicas(replicas)) wanted = Math.max(wanted, replicas);
    return wanted;
  }

  /** Whether somebody waits for whom the journal will do. */
  get awaitsJournal(): boolean {
    for (const { journal } of this.waiters) if (journal) return true;
    return false;
  }

  /** Whether somebody waits who is content with nothing but the store. */
  get awaitsStore(): boolean {
    for (const { journal } of this.waiters) if (!journal) return true;
    return false;
  }

  /** From here on, changes may be missing in what is captured. Returns how many are certainly in it. */
  beginCapture(): number {
    this.changedSinceCapture = undefined;
    return this.changes;
  }

  /**
   * Answers everyone who waits for no more than the first `changes` changes, and whom the answer can satisfy: who asked for
   * replicas waits on for those, and a journal is not for everyone.
   */
  settle(changes: number, commit: SessionCommit): void {
    for (const waiter of this.waiters) {
      if (waiter.changes > changes) continue;
      if (commit.outcome === 'committed' && !this.isOnReplicas(waiter.replicas)) continue;
      if (commit.outcome === 'journaled' && !waiter.journal) continue;
      this.waiters.delete(waiter);
      waiter.settle(commit);
    }
  }
}
