import type { ReleaseIdleAnswer } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import { within } from '../ownership/within.ts';
import type { StoreHealth } from '../replicator/store-health.ts';
import { assertSettled } from '../reseed/settled.ts';
import type { FormerOwners } from '../takeover/former-owners.ts';
import type { Releases } from './releases.ts';

/** A call answers after about this long with what it has done, so that the caller can show progress, milliseconds. */
const BUDGET_MS = 1_000;

/** Sessions taken back from gateways together: their IDs fit into one answer. */
const BATCH = 200;

/**
 * How long gateways have for agreeing to a whole batch, milliseconds. Then they are asked for each session by itself, so that
 * one with a request under way holds up no others.
 */
const TOGETHER_MS = 250;

export interface IdleReleasesParts {
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly releases: Releases;
  readonly formerOwners: FormerOwners;
  /** False as long as the app may hold sessions that the agent does not know of. */
  readonly hasAccount: () => boolean;
}

/** Releases all sessions, some at each call, as a drain wants it. */
export class IdleReleases {
  readonly #parts: IdleReleasesParts;
  /** Released since the last call answered: what takes long goes on behind it. */
  #released = 0;

  constructor(parts: IdleReleasesParts) {
    this.#parts = parts;
  }

  /**
   * Releases up to `limit` sessions that are not in `except`. Those that cannot be saved stay; those with a request under way at
   * another gateway go when it has ended, and count in a later answer.
   *
   * @throws StickshiftError `SOURCE_FAILED` while the agent does not know what the app holds: "none left" would not be true;
   *   `STORE_SETTLING`
   */
  async releaseIdle(except: ReadonlySet<string>, limit: number): Promise<ReleaseIdleAnswer> {
    const { store, health, owned, hasAccount } = this.#parts;
    if (!hasAccount()) {
      throw new StickshiftError('SOURCE_FAILED', 'the agent does not know yet what the app holds');
    }
    assertSettled(store);
    const until = performance.now() + BUDGET_MS;
    const sessions = owned.values();
    do {
      const batch = this.#nextBatch(sessions, except, Math.min(BATCH, limit - this.#released));
      if (batch.length === 0) break;
      await this.#releaseBatch(batch, until);
      // While the store is away every further release would only wait for it.
    } while (health.isOk && performance.now() < until && this.#released < limit);
    const released = this.#released;
    this.#released = 0;
    return { released, remaining: owned.remaining, unprotected: owned.unprotected };
  }

  #nextBatch(sessions: Iterable<OwnedSession>, except: ReadonlySet<string>, most: number): string[] {
    const { releases, formerOwners } = this.#parts;
    const batch: string[] = [];
    if (most < 1) return batch;
    for (const { id, unprotected, waiters } of sessions) {
      if (except.has(id) || waiters.size > 0 || unprotected || releases.isUnderWay(id)) continue;
      // Whoever took it up next would not know of an owner before us.
      if (formerOwners.mayServe(id)) continue;
      batch.push(id);
      if (batch.length >= most) break;
    }
    return batch;
  }

  /** Resolves when all are released, or when those that are idle have had their time. */
  async #releaseBatch(sessionIds: readonly string[], until: number): Promise<void> {
    const { releases } = this.#parts;
    const together = releases.agreed(sessionIds, TOGETHER_MS);
    const all = sessionIds.map(async (id) => {
      const agreed = together.then((allAgree) => allAgree || releases.agreed([id]));
      const { outcome } = await releases.begin(id, agreed);
      if (outcome !== 'unknown') this.#released++;
    });
    const patienceMs = (await together) ? Number.POSITIVE_INFINITY : TOGETHER_MS;
    await within(Promise.all(all), Math.max(0, Math.min(patienceMs, until - performance.now())));
  }
}
