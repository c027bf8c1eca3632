import type { SessionKey } from '../../protocol/session-key.ts';

/** How long each step of a replacement may take before it goes on without waiting, milliseconds. */
export interface ReplacementTimes {
  /** From the first bytes under the new ID to their commit, when no response is known to wait for them. */
  readonly written: number;
  /** From a commit asked for the old ID to its end, when nothing was written under the new one. */
  readonly named: number;
  /** From the app's word to the end of the old ID, when nothing else happens. */
  readonly silence: number;
}

export const REPLACEMENT_TIMES: ReplacementTimes = { written: 1_000, named: 500, silence: 30_000 };

/**
 * - `open`: the app has not written anything under the new ID that is to be committed yet
 * - `due`: the successor is looked after as any session; its first commit retires the old ID
 * - `over`: retired, or given up
 */
export type ReplacementState = 'open' | 'due' | 'over';

/** A commit of a successor whose fate is not known. */
export interface Attempt {
  readonly successor: string;
  readonly successorKey: SessionKey;
  /** By which its record would be recognised. */
  readonly sealing: string;
}

/** A session that goes on under another ID, from the moment the app says so until its old ID is retired. */
export class Replacement {
  /** The ID whose record stands. */
  old: string;
  oldKey: SessionKey;
  successor: string;
  /** IDs that the app used in between and gave up again before anything was known to stand under them. */
  readonly between: string[] = [];
  readonly attempts: Attempt[] = [];
  state: ReplacementState = 'open';
  /** The app has written under the new ID. */
  isWritten = false;
  /** The app has changed the session by its old ID since, or may have: such a change is nowhere. */
  isLate = false;
  /** The app may begin another session under the old ID without asking for the one that is gone. */
  isUnguarded = false;
  /** How many replicas of the store are to have the successor before its response goes out. */
  replicas = 0;
  /** False after the app went away, until it says again that the session has this ID: another process never will. */
  isConfirmed = true;
  timer: NodeJS.Timeout | undefined;
  /** Resolves when nothing is to be waited for any more, however it went. */
  readonly over: Promise<void>;
  readonly #finish: () => void;

  constructor(old: string, oldKey: SessionKey, successor: string) {
    this.old = old;
    this.oldKey = oldKey;
    this.successor = successor;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#finish = resolve;
  }

  /** Every ID that is not to be used any more. */
  get retiring(): string[] {
    return [this.old, ...this.between];
  }

  /** Calls `then` in `ms`, in place of what was to happen before. */
  after(ms: number, then: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, ms);
  }

  finish(): void {
    clearTimeout(this.timer);
    this.state = 'over';
    this.#finish();
  }
}
