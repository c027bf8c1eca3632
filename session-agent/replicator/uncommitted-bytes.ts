import type { Journal } from '../journal/journal.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { SnapshotSeal } from '../snapshot/snapshot-seal.ts';
import type { CapturedSession } from '../sources/session-source.ts';
import { digestOf, type FreshBytes } from './fresh-bytes.ts';

/** Bytes kept at most, all sessions together. */
const LIMIT = 64 * 1024 * 1024;

/**
 * What was captured and is not in the store yet: when the app is killed meanwhile, these are the only bytes there are. Bounded;
 * beyond the limit the oldest go, and a retry asks the app again.
 */
export class UncommittedBytes {
  readonly #journal: Journal | undefined;
  readonly #seal: SnapshotSeal;
  readonly #limit: number;
  readonly #sessions = new Map<OwnedSession, FreshBytes>();
  #size = 0;

  /** @param limit - bytes; default 64 MiB */
  constructor(journal: Journal | undefined, seal: SnapshotSeal, limit = LIMIT) {
    this.#journal = journal;
    this.#seal = seal;
    this.#limit = limit;
  }

  put(session: OwnedSession, bytes: FreshBytes): void {
    this.drop(session);
    this.#sessions.set(session, bytes);
    this.#size += bytes.captured.data.length;
    for (const oldest of this.#sessions.keys()) {
      if (this.#size <= this.#limit) return;
      this.drop(oldest);
    }
  }

  /** The newest bytes that hold changes which the store does not have. */
  async find(session: OwnedSession): Promise<FreshBytes | undefined> {
    const bytes = this.#sessions.get(session) ?? (await this.#fromJournal(session));
    return bytes && bytes.changes > session.covered && bytes.captured.idleAt > Date.now() ? bytes : undefined;
  }

  drop(session: OwnedSession): void {
    const bytes = this.#sessions.get(session);
    if (!bytes) return;
    this.#size -= bytes.captured.data.length;
    this.#sessions.delete(session);
  }

  async #fromJournal({ key, journaled }: OwnedSession): Promise<FreshBytes | undefined> {
    if (!journaled) return undefined;
    const entry = await this.#journal?.read(key);
    if (entry?.kind !== 'snapshot') return undefined;
    const { data } = await this.#seal.open(key, entry);
    const captured: CapturedSession = { data, idleAt: entry.deadlines.idleAt };
    return { captured, digest: digestOf(data), changes: journaled.changes };
  }
}
