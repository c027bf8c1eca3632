import type { Logger } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { JournaledTombstone } from '../journal/entry.ts';
import type { Journal } from '../journal/journal.ts';

/** Tombstones remembered when there is no journal, whose size would set the limit. */
const REMEMBER_AT_MOST = 50_000;

/**
 * What this agent knows of logged-out sessions: those whose tombstone stands, so that it can be written again when the store
 * has forgotten it, and on disk those whose tombstone is due, so that no crash loses a logout.
 */
export class Tombstones {
  readonly #journal: Journal | undefined;
  readonly #logger: Logger;
  readonly #limit: number;
  /** How long each stands, milliseconds since 1970; the oldest is at the front. */
  readonly #standing = new Map<SessionKey, number>();

  constructor(journal: Journal | undefined, logger: Logger, recovered: readonly JournaledTombstone[] = []) {
    this.#journal = journal;
    this.#logger = logger;
    this.#limit = Math.min(REMEMBER_AT_MOST, journal?.tombstoneLimit ?? REMEMBER_AT_MOST);
    for (const { key, until } of recovered) this.#standing.set(key, until);
    this.#prune();
  }

  /** Those that stand, and have not run out; the newest first, for a store that has forgotten some has mostly forgotten the last. */
  *standing(): Generator<{ readonly key: SessionKey; readonly until: number }> {
    for (const [key, until] of [...this.#standing].reverse()) if (until > Date.now()) yield { key, until };
  }

  /**
   * The store cannot be told of a logout now. Resolves with whether the disk has it; never rejects, since the logout is tried
   * on all the same.
   */
  async due(key: SessionKey, epoch: number, until: number): Promise<boolean> {
    try {
      await this.#journal?.append({ kind: 'logout', key, epoch, until });
      return this.#journal !== undefined;
    } catch (error) {
      this.#logger.warn(
        { err: error, [ATTRIBUTE.sessionKey]: key },
        'a logout that the store does not know of yet is not in the journal either',
      );
      return false;
    }
  }

  /** The store has the tombstone. */
  stands(key: SessionKey, until: number): void {
    const before = this.#standing.get(key) ?? 0;
    this.#standing.delete(key);
    this.#standing.set(key, Math.max(before, until));
    this.#journal?.note({ kind: 'tombstone', key, until: Math.max(before, until) });
    this.#prune();
  }

  /** There will be no tombstone: the session is somebody else's. */
  refused(key: SessionKey): void {
    this.#journal?.settle(key);
  }

  #prune(): void {
    for (const [key, until] of this.#standing) {
      if (this.#standing.size <= this.#limit && until > Date.now()) return;
      this.#standing.delete(key);
      this.#journal?.settle(key);
    }
  }
}
