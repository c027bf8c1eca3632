import type { Logger } from 'pino';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Leases } from '../leases/leases.ts';
import type { OwnedSession } from '../ownership/owned-session.ts';
import type { OwnedSessions } from '../ownership/owned-sessions.ts';
import { within } from '../ownership/within.ts';
import type { Logouts } from '../replicator/logouts.ts';
import type { Replacements } from './replacements.ts';

/** How long nobody may ask for a removed session before its removal counts as a logout, milliseconds. */
export const REMOVAL_SILENCE_MS = 30_000;
/** For so long the request that removed a session is taken to be alive, milliseconds: it will say what it meant. */
const REMOVAL_YOUTH_MS = 3_000;

export interface RemovalsParts {
  readonly owned: OwnedSessions;
  readonly logouts: Logouts;
  readonly replacements: Replacements;
  readonly leases: Leases;
  readonly logger: Logger;
  /** Most that are kept undecided; beyond it a removal counts as a logout at once. */
  readonly limit: number;
  /** Default: {@link REMOVAL_SILENCE_MS}. */
  readonly removalSilenceMs?: number;
  /** Default: {@link REMOVAL_YOUTH_MS}. */
  readonly removalYouthMs?: number;
}

interface Removal {
  /** As the agent knew it; another one by this ID has been adopted or brought back since. */
  readonly session: OwnedSession | undefined;
  readonly timer: NodeJS.Timeout;
  /** `performance.now()` */
  readonly begunAt: number;
  /** Resolves when it is not open any more. */
  readonly over: Promise<void>;
  readonly finish: () => void;
}

/**
 * Sessions that an app has removed, without a word why. The request that did it may be a logout, may go on with the session
 * under another ID, or may die before it has written the session there: then it has to be as if nothing had happened.
 */
export class Removals {
  readonly #parts: RemovalsParts;
  readonly #removals = new Map<string, Removal>();

  constructor(parts: RemovalsParts) {
    this.#parts = parts;
  }

  begin(sessionId: string): void {
    const { owned, logouts, limit, removalSilenceMs = REMOVAL_SILENCE_MS } = this.#parts;
    owned.dropOverflow(sessionId);
    this.#take(sessionId);
    if (this.#removals.size >= limit) {
      logouts.retire(sessionId);
      return;
    }
    const session = owned.get(sessionId);
    // From here on whoever asks for the session gets it back from its record.
    if (session) session.inApp = false;
    const timer = setTimeout(() => {
      if (this.isOpen(sessionId)) this.#retire(sessionId);
    }, removalSilenceMs);
    const { promise: over, resolve: finish } = Promise.withResolvers<void>();
    const removal = { session, timer, begunAt: performance.now(), over, finish };
    this.#removals.set(sessionId, removal);
    void this.#parts.leases.wasAnswered(sessionId, removalSilenceMs).then((wasAnswered) => {
      // A logout by a link, say, of which no gateway asks what it did.
      if (wasAnswered && this.isOpen(sessionId) && this.#removals.get(sessionId) === removal)
        this.#retire(sessionId);
    });
  }

  /**
   * Waits, for `patienceMs` at most, while the request that removed the session may still be under way: to bring the session
   * back now would undo a logout that is about to be answered. Resolves with whether it may be still.
   */
  async mayBeDecided(sessionId: string, patienceMs: number): Promise<boolean> {
    const { removalYouthMs = REMOVAL_YOUTH_MS } = this.#parts;
    const removal = this.isOpen(sessionId) ? this.#removals.get(sessionId) : undefined;
    if (!removal) return false;
    const youthMs = removal.begunAt + removalYouthMs - performance.now();
    if (youthMs <= 0) return false;
    await within(removal.over, Math.min(youthMs, patienceMs));
    return youthMs > patienceMs && this.#removals.get(sessionId) === removal;
  }

  /** Whether the session was removed and nobody has decided yet what that was. */
  isOpen(sessionId: string): boolean {
    const removal = this.#removals.get(sessionId);
    if (!removal) return false;
    const now = this.#parts.owned.get(sessionId);
    if (now === undefined || (now === removal.session && !now.inApp)) return true;
    this.#take(sessionId);
    return false;
  }

  /** A response that names these sessions has ended well: the removal was a logout, or moved one to another ID. */
  answered(sessionIds: readonly string[], replicas: number): void {
    const { owned, logouts, replacements } = this.#parts;
    for (const sessionId of sessionIds) {
      if (!this.isOpen(sessionId)) continue;
      const successor = sessionIds
        .filter((other) => other !== sessionId && !replacements.of(other))
        .map((other) => owned.get(other))
        .find((session) => session?.committedSeq === 0);
      this.#take(sessionId);
      if (successor) replacements.link(sessionId, successor, replicas);
      else logouts.retire(sessionId);
    }
  }

  /** The app has written under an ID that it had removed: the session that it knew is gone, and nothing new may take its name. */
  writtenAgain(sessionId: string): void {
    const { logger, owned } = this.#parts;
    logger.warn(
      { [ATTRIBUTE.sessionKey]: owned.keyOf(sessionId) },
      'the app began a session under the ID of one that it had removed: it is not kept (see session.use_strict_mode in the PHP guide)',
    );
    this.#retire(sessionId, true);
  }

  /** The agent stops, and nobody will remember. */
  hasten(): void {
    for (const sessionId of [...this.#removals.keys()]) if (this.isOpen(sessionId)) this.#retire(sessionId);
  }

  stop(): void {
    for (const sessionId of [...this.#removals.keys()]) this.#take(sessionId);
  }

  #retire(sessionId: string, isLate = false): void {
    this.#take(sessionId);
    this.#parts.logouts.retire(sessionId, isLate);
  }

  #take(sessionId: string): void {
    const removal = this.#removals.get(sessionId);
    clearTimeout(removal?.timer);
    this.#removals.delete(sessionId);
    removal?.finish();
  }
}
