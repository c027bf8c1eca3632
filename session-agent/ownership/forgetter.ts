import type { Logger } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Leases } from '../leases/leases.ts';
import type { RecallUnderWay } from '../leases/recall-under-way.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { OwnedSessions } from './owned-sessions.ts';
import type { SessionQueue } from './session-queue.ts';

const RETRY_MS = 1_000;
/** More than this is left to the reconciliation when the app comes back. */
const KEEP_AT_MOST = 10_000;

export interface ForgetterParts {
  readonly source: SessionSource;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly leases: Leases;
  readonly logger: Logger;
}

/** Takes sessions that are not this agent's out of the app, and keeps at it until the app obeys. */
export class Forgetter {
  readonly #parts: ForgetterParts;
  readonly #pending = new Set<string>();
  /** Lost sessions that the app still holds, because gateways have yet to let go of them. */
  readonly #recalled = new Map<string, RecallUnderWay>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(parts: ForgetterParts) {
    this.#parts = parts;
  }

  /**
   * The session is somebody else's, or has ended. The app forgets it as soon as no gateway follows a binding to it any more: if
   * that takes a while, this resolves before. To be called from within the session's queue. Never rejects.
   */
  async forgetLost(sessionId: string, key: SessionKey): Promise<void> {
    const recall = this.#parts.leases.recall([sessionId], 'lost');
    if (recall.isOver) return this.forget(sessionId, key);
    this.#recalled.set(sessionId, recall);
    void recall.settled.then(() => {
      if (this.#recalled.get(sessionId) !== recall) return;
      this.#recalled.delete(sessionId);
      if (recall.isOver) return this.#forgetUnlessOwned(sessionId);
    });
  }

  /** Whether the app holds a lost session only until gateways have let go of it. What it does to it is of no consequence. */
  isRecalled(sessionId: string): boolean {
    return this.#recalled.has(sessionId);
  }

  /** Resolves when the app has been told of every session that is lost by now. */
  async caughtUp(): Promise<void> {
    const { queue } = this.#parts;
    const sessionIds = [...this.#recalled.keys()];
    await Promise.all([...this.#recalled.values()].map(({ settled }) => settled));
    await Promise.all(sessionIds.map((sessionId) => queue.idle(sessionId)));
  }

  /**
   * At once; for sessions that no gateway looks for here. Never rejects: a failure is logged and tried again. To be called
   * from within the session's queue.
   */
  async forget(sessionId: string, key: SessionKey): Promise<void> {
    const { source, logger } = this.#parts;
    try {
      await source.forget(sessionId);
      this.#pending.delete(sessionId);
    } catch (error) {
      const known = this.#pending.has(sessionId);
      if (known || this.#pending.size < KEEP_AT_MOST) this.#pending.add(sessionId);
      if (!known) {
        logger.warn(
          { err: error, [ATTRIBUTE.sessionKey]: key },
          'the app cannot be made to forget a session',
        );
      }
      this.#arm();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => void this.#retry(), RETRY_MS).unref();
  }

  async #retry(): Promise<void> {
    for (const sessionId of [...this.#pending]) {
      if (this.#stopped) return;
      await this.#forgetUnlessOwned(sessionId);
    }
    this.#timer = undefined;
    if (this.#pending.size > 0) this.#arm();
  }

  #forgetUnlessOwned(sessionId: string): Promise<void> {
    const { queue, owned } = this.#parts;
    return queue.run(sessionId, async () => {
      // It may have come back to this agent since; then the app is right to hold it.
      if (owned.get(sessionId)) this.#pending.delete(sessionId);
      else await this.forget(sessionId, owned.keyOf(sessionId));
    });
  }
}
