import type { Logger } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { SessionSource } from '../sources/session-source.ts';
import type { OwnedSessions } from './owned-sessions.ts';
import type { SessionQueue } from './session-queue.ts';

const RETRY_MS = 1_000;
/** More than this is left to the reconciliation when the app comes back. */
const KEEP_AT_MOST = 10_000;

/** Takes sessions that are not this agent's out of the app, and keeps at it until the app obeys. */
export class Forgetter {
  readonly #source: SessionSource;
  readonly #owned: OwnedSessions;
  readonly #queue: SessionQueue;
  readonly #logger: Logger;
  readonly #pending = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(source: SessionSource, owned: OwnedSessions, queue: SessionQueue, logger: Logger) {
    this.#source = source;
    this.#owned = owned;
    this.#queue = queue;
    this.#logger = logger;
  }

  /** Never rejects: a failure is logged and tried again. To be called from within the session's queue. */
  async forget(sessionId: string, key: SessionKey): Promise<void> {
    try {
      await this.#source.forget(sessionId);
      this.#pending.delete(sessionId);
    } catch (error) {
      const known = this.#pending.has(sessionId);
      if (known || this.#pending.size < KEEP_AT_MOST) this.#pending.add(sessionId);
      if (!known) {
        this.#logger.warn(
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
      await this.#queue.run(sessionId, async () => {
        // It may have come back to this agent since; then the app is right to hold it.
        if (this.#owned.get(sessionId)) this.#pending.delete(sessionId);
        else await this.forget(sessionId, this.#owned.keyOf(sessionId));
      });
    }
    this.#timer = undefined;
    if (this.#pending.size > 0) this.#arm();
  }
}
