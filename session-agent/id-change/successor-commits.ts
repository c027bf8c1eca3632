import { asStickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { Commit, CommitResult, SnapshotStore } from '../../store/snapshot-store.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import type { Tombstones } from '../reseed/tombstones.ts';
import { sealingOf } from '../snapshot/envelope.ts';
import type { Replacement } from './replacement.ts';

export interface SuccessorCommitsParts {
  readonly backend: string;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly tombstones: Tombstones;
  /** How long a tombstone stands, at least, milliseconds. */
  readonly tombstoneMs: number;
}

/** Told of what stands in the store. */
export interface SuccessorCommitsListener {
  /** The old ID's tombstone and this successor's bytes stand. */
  retired(replacement: Replacement, successor: OwnedSession): void;
  /** An earlier successor stands, and is the one to be retired. */
  advanced(replacement: Replacement, standing: string, standingKey: SessionKey): void;
}

/**
 * Has the store commit a successor and retire the old ID in one step, and finds out what became of such a step whose answer
 * was lost.
 */
export class SuccessorCommits {
  readonly #parts: SuccessorCommitsParts;
  readonly #listener: SuccessorCommitsListener;

  constructor(parts: SuccessorCommitsParts, listener: SuccessorCommitsListener) {
    this.#parts = parts;
    this.#listener = listener;
  }

  /** The session's first commit, or one more after an attempt whose answer was lost. */
  async write(replacement: Replacement, session: OwnedSession, commit: Commit): Promise<CommitResult> {
    const { store, health } = this.#parts;
    // The app gave this ID up as well while this waited its turn.
    if (replacement.successor !== session.id) return { outcome: 'ended' };
    // Logged out while this waited its turn: the new session is one of its own.
    if (replacement.state === 'over') return health.watch(store.commit(session.key, commit));
    const result = await this.#replace(replacement, session, commit);
    if (result.outcome !== 'ended') return result;
    return (await this.#mend(replacement, session, commit)) ?? result;
  }

  async #replace(replacement: Replacement, session: OwnedSession, commit: Commit): Promise<CommitResult> {
    const { backend, store, health, owned, tombstones, tombstoneMs } = this.#parts;
    const { oldKey } = replacement;
    const old = owned.get(replacement.old);
    const now = Date.now();
    const until = now + Math.max(tombstoneMs, old ? old.expiresAt - now : 0);
    const { owner: _, ...bytes } = commit;
    const sealing = sealingOf(commit.snapshot);
    try {
      const result = await health.watch(
        store.replace(oldKey, {
          owner: backend,
          // 0: the store decides whether it may be ours.
          epoch: old?.proven ? old.epoch : 0,
          until,
          successor: session.key,
          commit: bytes,
        }),
      );
      if (result.outcome !== 'replaced') return result;
    } catch (error) {
      const { code } = asStickshiftError(error);
      if (code === 'STORE_NOT_REPLICATED') {
        // It stands. The successor's commit is repeated until enough replicas have it, and with it all that came before.
        tombstones.stands(oldKey, until);
        this.#listener.retired(replacement, session);
      } else if (code !== 'STORE_UNREACHABLE') {
        replacement.attempts.push({ successor: session.id, successorKey: session.key, sealing });
      }
      throw error;
    }
    tombstones.stands(oldKey, until);
    this.#listener.retired(replacement, session);
    return { outcome: 'committed' };
  }

  /**
   * The old ID has a tombstone. Ours, when an earlier attempt went through whose answer was lost; then the session that it
   * left behind is what goes on. `undefined`: it was logged out by somebody, and so is its successor.
   */
  async #mend(
    replacement: Replacement,
    session: OwnedSession,
    commit: Commit,
  ): Promise<CommitResult | undefined> {
    const { backend, store, health } = this.#parts;
    const plain = () => health.watch(store.commit(session.key, commit));
    if (session.proven) {
      this.#listener.retired(replacement, session);
      return plain();
    }
    for (const { successor, successorKey, sealing } of replacement.attempts) {
      const record = await health.watch(store.read(successorKey));
      if (record?.owner !== backend || record.state !== 'active') continue;
      if (sealingOf(record.snapshot) !== sealing) continue;
      if (successor === session.id) {
        this.#listener.retired(replacement, session);
        return plain();
      }
      this.#listener.advanced(replacement, successor, successorKey);
      return this.#replace(replacement, session, commit);
    }
    return undefined;
  }
}
