import { detached, RecentMap } from '../memory/recent-map.ts';

/** The newest change of a session that a client was told of. */
interface Acknowledged {
  /** Commit that was in the store then. */
  readonly seq: number;
  /** The change was acknowledged before its own commit, which will have a greater seq. */
  readonly pending: boolean;
}

const NOTHING: Acknowledged = { seq: 0, pending: false };

/**
 * What this gateway has let out as done, session by session: a takeover from an older commit has lost some of it, and must
 * not pass for a clean one. Bounded; a forgotten entry hides a report, never a session.
 */
export class Acknowledgements {
  readonly #sessions: RecentMap<string, Acknowledged>;

  /** @param limit - most entries kept, default 100 000 (about 15 MiB) */
  constructor(limit = 100_000) {
    this.#sessions = new RecentMap(limit);
  }

  /** The change is in the store, with commit `seq`. */
  committed(ref: string, seq: number): void {
    // Answers of overlapping requests may come in another order than their commits.
    if (this.#of(ref).seq < seq) this.#sessions.set(detached(ref), { seq, pending: false });
  }

  /** The change was acknowledged before it is in the store, where commit `seq` stands. */
  pending(ref: string, seq: number): void {
    if (this.#of(ref).seq <= seq) this.#sessions.set(detached(ref), { seq, pending: true });
  }

  /** The session has ended, or there is no record of it: whatever comes under its ID counts anew. */
  forget(ref: string): void {
    if (this.#sessions.get(ref)) this.#sessions.set(detached(ref), NOTHING);
  }

  /** Whether a change that was acknowledged may be missing from the snapshot of commit `seq`. */
  areAheadOf(ref: string, seq: number): boolean {
    const acknowledged = this.#of(ref);
    return seq < acknowledged.seq || (acknowledged.pending && seq === acknowledged.seq);
  }

  #of(ref: string): Acknowledged {
    return this.#sessions.get(ref) ?? NOTHING;
  }
}
