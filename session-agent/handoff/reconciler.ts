import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { lossBy } from '../ownership/claim.ts';
import { forEachAtOnce } from '../ownership/for-each-at-once.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import { pause } from '../ownership/pause.ts';
import type { RecentLosses } from '../ownership/recent-losses.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { Committer } from '../replicator/committer.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { BACKOFF, type BackoffTimes, jitteredBackoff, type StoreHealth } from '../replicator/store-health.ts';
import { assertSettled } from '../reseed/settled.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { Rehydration } from './rehydration.ts';

export interface ReconcilerParts {
  readonly backend: string;
  readonly source: SessionSource;
  readonly store: SnapshotStore;
  readonly health: StoreHealth;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly logouts: Logouts;
  readonly losses: RecentLosses;
  readonly forgetter: Forgetter;
  readonly committer: Committer;
  readonly replicator: Replicator;
  readonly rehydration: Rehydration;
  readonly logger: Logger;
  /** Begins to look after a session that has no record yet. */
  readonly ownNew: (sessionId: string) => void;
  /** Lookups under way at once. */
  readonly concurrency: number;
  /** Rejects as long as the agent must not act as its backend. */
  readonly clearance: () => Promise<void>;
  readonly times?: BackoffTimes;
}

const WAITING_FOR_APP = 'waiting for the app';

/**
 * Settles, each time the app turns up, which of the sessions it holds are this backend's. Until then nothing is
 * committed for a session that the agent does not know: it may have moved on while the agent was away.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** Sessions of the app whose owner is not known yet. */
  readonly #open = new Set<string>();
  #attachment: AbortController | undefined;
  #notReady: string | undefined = WAITING_FOR_APP;
  #hasAccount = false;
  #done = Promise.withResolvers<void>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Why the agent is not ready; `undefined` when it is. */
  get notReady(): string | undefined {
    return this.#notReady;
  }

  /**
   * What the agent owns is all that the app holds, or held when it was last there. False before the first app, and while
   * one that has just come is being asked.
   */
  get hasAccount(): boolean {
    return this.#hasAccount;
  }

  get isAttached(): boolean {
    return this.#attachment !== undefined;
  }

  /** Resolves when the agent is, or becomes, ready. */
  whenReady(): Promise<void> {
    return this.#notReady === undefined ? Promise.resolve() : this.#done.promise;
  }

  attached(): void {
    this.#attachment?.abort();
    const attachment = new AbortController();
    this.#attachment = attachment;
    this.#hasAccount = false;
    this.#unready('reconciling with the app');
    void this.#reconcile(attachment.signal);
  }

  detached(reason: string): void {
    this.#attachment?.abort();
    this.#attachment = undefined;
    this.#unready(`${WAITING_FOR_APP}: ${reason}`);
  }

  /** The app has a session that the agent does not know, and it is too early to tell whose it is. */
  defer(sessionId: string): void {
    this.#open.add(sessionId);
  }

  stop(): void {
    this.#attachment?.abort();
    this.#attachment = undefined;
  }

  #unready(reason: string): void {
    if (this.#notReady === undefined) this.#done = Promise.withResolvers();
    this.#notReady = reason;
  }

  async #reconcile(signal: AbortSignal): Promise<void> {
    const { owned, source, store, replicator, forgetter, clearance, logger, times = BACKOFF } = this.#parts;
    for (const session of owned.values()) {
      session.inApp = false;
      session.fromApp = false;
    }
    let listed = false;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        if (!listed) for (const sessionId of await source.list()) this.#open.add(sessionId);
        listed = true;
        await clearance();
        // Again, for what `defer` added when the last round had just ended.
        while (this.#open.size > 0 && !signal.aborted) {
          await this.#settleAll(signal);
          await forgetter.caughtUp();
        }
        if (signal.aborted) return;
        // Also those that the app did not list, or they would count as unsaved for ever.
        replicator.retryAll();
        this.#hasAccount = true;
        this.#notReady = undefined;
        this.#done.resolve();
        logger.info({ sessions: owned.size }, 'the agent is ready');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const failure = asStickshiftError(error);
        if (failures === 0) logger.warn({ err: failure }, 'cannot reconcile with the app yet; trying on');
        this.#unready(`cannot reconcile with the app: ${failure.code}`);
        const { settlingMs } = store;
        const isSettling = failure.code === 'STORE_SETTLING';
        await pause(isSettling ? settlingMs : jitteredBackoff(failures, times), signal);
      }
    }
  }

  /** Works through what is open; what fails stays open. Rejects with the first failure. */
  async #settleAll(signal: AbortSignal): Promise<void> {
    const { queue, concurrency } = this.#parts;
    // A Set may grow while it is walked, and what `defer` adds meanwhile is walked too.
    await forEachAtOnce(this.#open, concurrency, signal, async (sessionId) => {
      await queue.run(sessionId, () => this.#settle(sessionId));
      this.#open.delete(sessionId);
    });
  }

  async #settle(sessionId: string): Promise<void> {
    const { backend, store, health, owned, logouts, replicator, rehydration, ownNew } = this.#parts;
    if (logouts.due(sessionId)) return this.#forget(sessionId);
    const known = owned.get(sessionId);
    if (known) return this.#verify(known);

    const key = owned.keyOf(sessionId);
    const record = await health.watch(store.lookup(key)).catch((error: unknown) => {
      // Nobody else can take it over either. Its commits fail by themselves, and keep no other session from being served.
      if (asStickshiftError(error).code !== 'STORE_INVALID') throw error;
      return 'damaged' as const;
    });
    if (record === 'damaged') return ownNew(sessionId);
    // A session that the agent's former life owned, in an epoch that this one does not know, is not new because the store has
    // lost its record; and a record that has fallen back must not be taken over before its owner has written it again.
    assertSettled(store);
    if (!record) return ownNew(sessionId);
    if (record.owner !== backend || record.state !== 'active') return this.#forget(sessionId);

    // One epoch up: whatever an earlier agent of this backend still has on its way is fenced.
    const result = await health.watch(store.adopt(key, { owner: backend, ifEpoch: record.epoch }));
    if (result.outcome === 'absent') return ownNew(sessionId);
    if (result.outcome !== 'adopted') return this.#forget(sessionId);
    // The app's copy is at least as new as the record, so it stays, and is committed.
    const session = rehydration.own(sessionId, result.record, '');
    session.fromApp = true;
    replicator.changed(session);
  }

  /** The app was away for a while: it may have changed the session, and others may have taken it for lost. */
  async #verify(session: OwnedSession): Promise<void> {
    const { backend, store, health, committer, replicator } = this.#parts;
    // While the store is away nobody can take a session over, and a mere reconnect should not take the app down.
    session.fromApp = true;
    session.inApp = true;
    if (!session.proven || !health.isOk) return replicator.changed(session);
    const record = await health.watch(store.lookup(session.key)).catch(() => 'unknown' as const);
    if (record === 'unknown') return replicator.changed(session);
    const loss = record && lossBy(record, session.epoch, backend);
    if (loss) await committer.lose(session, loss);
    else if (!record || record.epoch < session.epoch) replicator.recreate(session);
    else replicator.changed(session);
  }

  async #forget(sessionId: string): Promise<void> {
    const { owned, forgetter } = this.#parts;
    await forgetter.forgetLost(sessionId, owned.keyOf(sessionId));
  }
}
