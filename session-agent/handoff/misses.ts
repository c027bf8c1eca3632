import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { Leases } from '../leases/leases.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Committer } from '../replicator/committer.ts';
import { digestOf } from '../replicator/fresh-bytes.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import { assertSettled } from '../reseed/settled.ts';
import type { CapturedSession } from '../sources/session-source.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
import type { Rehydration } from './rehydration.ts';

export interface MissesParts {
  readonly backend: string;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly committer: Committer;
  readonly logouts: Logouts;
  readonly rehydration: Rehydration;
  readonly formerOwners: FormerOwners;
  readonly leases: Leases;
}

/** Answers an app that was asked for a session that it does not hold. */
export class Misses {
  readonly #parts: MissesParts;

  constructor(parts: MissesParts) {
    this.#parts = parts;
  }

  /**
   * The session's bytes, now owned by this backend; `undefined` when no such session lives. Rejects whenever a live
   * record may exist, because the app would start an empty session over it: `SESSION_MOVING` when another backend has
   * it, or the code of what went wrong.
   */
  find(sessionId: string): Promise<CapturedSession | undefined> {
    return this.#parts.queue.run(sessionId, () => this.#find(sessionId));
  }

  async #find(sessionId: string): Promise<CapturedSession | undefined> {
    const { backend, store, health, owned, committer, logouts, rehydration } = this.#parts;
    if (logouts.due(sessionId)) return undefined;
    const known = owned.get(sessionId);
    if (known?.isDirty) {
      // The source may have bytes that the app told of before it lost them.
      const result = await committer.commit(known);
      if (result.outcome === 'failed') throw result.failure;
    }
    const key = owned.keyOf(sessionId);
    const record = await health.watch(store.lookup(key));
    // Neither an absent record nor an old one says where the session is.
    assertSettled(store);
    if (!record || record.state === 'ended') {
      this.#drop(sessionId);
      return undefined;
    }
    if (record.state === 'active' && record.owner !== backend) {
      this.#dropMoved(sessionId);
      throw new StickshiftError('SESSION_MOVING', `the session lives on ${record.owner}`);
    }
    rehydration.assertRoom(sessionId);
    // One epoch up even if it is ours: a commit of an earlier life that is still on its way must not land any more.
    const result = await health.watch(store.adopt(key, { owner: backend, ifEpoch: record.epoch }));
    switch (result.outcome) {
      case 'moved':
        this.#dropMoved(sessionId);
        throw new StickshiftError('SESSION_MOVING', 'the session is being moved');
      case 'absent':
      case 'ended':
        this.#drop(sessionId);
        return undefined;
      case 'adopted': {
        if (result.taken) this.#parts.formerOwners.lost(sessionId);
        const session = await rehydration.open(sessionId, result.record);
        rehydration.own(sessionId, result.record, digestOf(session.data));
        return session;
      }
    }
  }

  /** Whichever gateway sent the request believes in a binding that is not good any more. */
  #dropMoved(sessionId: string): void {
    this.#drop(sessionId);
    this.#parts.leases.tell([sessionId]);
  }

  /** The app does not hold it and neither do we. */
  #drop(sessionId: string): void {
    const session = this.#parts.owned.get(sessionId);
    if (session) this.#parts.owned.delete(session, { outcome: 'fenced' });
  }
}
