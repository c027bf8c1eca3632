import type { Logger } from 'pino';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Forgetter } from '../ownership/forgetter.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import type { SessionQueue } from '../ownership/session-queue.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { Replicator } from './replicator.ts';
import { isTouchOverdue } from './touch-policy.ts';

const SWEEP_MS = 15_000;
/** Sessions looked at before the event loop gets a turn. */
const SLICE = 5_000;

export interface ExpiryParts {
  readonly source: SessionSource;
  readonly owned: OwnedSessions;
  readonly queue: SessionQueue;
  readonly replicator: Replicator;
  readonly forgetter: Forgetter;
  readonly logger: Logger;
  /** Default: 15 s. */
  readonly sweepMs?: number;
}

/** Lets go of sessions whose time is up, and keeps the store from expiring those whose time is not. */
export class Expiry {
  readonly #parts: ExpiryParts;
  readonly #sweepMs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(parts: ExpiryParts) {
    this.#parts = parts;
    this.#sweepMs = parts.sweepMs ?? SWEEP_MS;
  }

  start(): void {
    this.#timer = setTimeout(() => void this.#run(), this.#sweepMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** One look at every session. */
  async sweep(): Promise<void> {
    const { owned, replicator } = this.#parts;
    let seen = 0;
    for (const session of owned.values()) {
      if (this.#stopped) return;
      if (++seen % SLICE === 0) await new Promise(setImmediate);
      const now = Date.now();
      // 0: a new session whose deadline no capture has shown yet.
      if (session.idleAt > 0 && session.expiresAt <= now) await this.#expire(session);
      // Written at the latest one sweep before the store would let it go.
      else replicator.writeTouchIf(session, isTouchOverdue(session, now, 2 * this.#sweepMs));
    }
  }

  async #run(): Promise<void> {
    await this.sweep();
    if (!this.#stopped) this.start();
  }

  async #expire(session: OwnedSession): Promise<void> {
    const { source, owned, queue, replicator, forgetter, logger } = this.#parts;
    try {
      await queue.run(session.id, async () => {
        if (!owned.isCurrent(session)) return;
        const captured = await source.capture(session.id);
        const now = Date.now();
        const usedSince = captured && captured.idleAt > now ? captured.idleAt : undefined;
        if (usedSince !== undefined && (session.absoluteAt ?? Number.POSITIVE_INFINITY) > now) {
          replicator.touched(session, usedSince);
          return;
        }
        owned.delete(session, { outcome: 'not-held' });
        // The app may not check deadlines itself, and knows nothing of the absolute one.
        if (captured) await forgetter.forget(session.id, session.key);
      });
    } catch (error) {
      // The app is away; the next sweep asks again.
      logger.debug(
        { err: error, [ATTRIBUTE.sessionKey]: session.key },
        'cannot tell whether a session expired',
      );
    }
  }
}
