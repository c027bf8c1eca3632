import { StickshiftError } from '../../protocol/errors.ts';
import { within } from '../ownership/within.ts';
import type { SessionSource } from '../sources/session-source.ts';
import { Removals, type RemovalsParts } from './removals.ts';
import { Replacements, type ReplacementsParts } from './replacements.ts';

/** How long an app that needs a session waits for the end of a request that changes its ID, milliseconds. */
const APP_PATIENCE_MS = 3_000;
/** How long a gateway does at each call. It hangs up after 2 s, and would take the session from an agent that is silent, milliseconds. */
const GATEWAY_PATIENCE_MS = 1_500;

/** How long a change of a session's ID may stay undecided. */
export type IdChangeTimes = Pick<
  IdChangesParts,
  'replacementTimes' | 'removalSilenceMs' | 'removalYouthMs' | 'decisionMs'
>;

export interface IdChangesParts extends ReplacementsParts, Omit<RemovalsParts, 'replacements'> {
  readonly source: SessionSource;
  /** How long somebody who needs a session waits. Default: an app 3 s, a gateway 1.5 s. */
  readonly decisionMs?: number;
}

/**
 * Sessions that leave an app by their old ID and may go on under a new one. What a request does to a session's ID holds when
 * the request has ended, and not before.
 */
export class IdChanges {
  readonly replacements: Replacements;
  readonly #parts: IdChangesParts;
  readonly #removals: Removals;

  constructor(parts: IdChangesParts) {
    this.#parts = parts;
    this.replacements = new Replacements(parts);
    this.#removals = new Removals({ ...parts, replacements: this.replacements });
  }

  /** The app removed a session without saying why. */
  removed(sessionId: string): void {
    this.#removals.begin(sessionId);
  }

  /** The app changed a session. True when that is not to be looked after: by an ID that has gone, or too early. */
  takesChange(sessionId: string): boolean {
    if (!this.#removals.isOpen(sessionId)) return this.replacements.takesChange(sessionId);
    this.#removals.writtenAgain(sessionId);
    return true;
  }

  /** Whether the app uses this ID no more, or is about to: what it says of the session's use means nothing. */
  isRetiring(sessionId: string): boolean {
    return this.replacements.retiring(sessionId) !== undefined || this.#removals.isOpen(sessionId);
  }

  /**
   * A response that names these sessions has ended. Resolves when everything that its request did to them is known and, where
   * it changed an ID, decided.
   *
   * @param replicas - how many replicas of the store are to have what is committed for it
   * @param failed - the response is an error, and its request may have died
   * @throws StickshiftError `SOURCE_FAILED` when the app has not finished with one of them, or died before it had: then nothing
   * is decided, for what is missing may be what another one has become
   */
  async answered(sessionIds: readonly string[], replicas: number, failed = false): Promise<void> {
    const { source } = this.#parts;
    const refreshed = await Promise.allSettled(sessionIds.map((sessionId) => source.refresh(sessionId)));
    for (const result of refreshed) if (result.status === 'rejected') throw result.reason;
    if (failed && sessionIds.some((sessionId) => this.#removals.isOpen(sessionId)))
      throw new StickshiftError('SOURCE_FAILED', 'the request that removed the session may have died');
    this.#removals.answered(sessionIds, replicas);
    const changes = sessionIds.map((sessionId) => {
      this.replacements.answered(sessionId, replicas);
      return this.replacements.of(sessionId)?.over;
    });
    await Promise.all(changes);
  }

  /**
   * Waits, while a request is about to take this ID away, until that is done or has come to nothing. Resolves with an error
   * when it takes too long.
   *
   * @param otherwise - what to do then with an ID that nothing has taken the place of yet
   */
  async undecided(
    sessionId: string,
    otherwise: 'wait on' | 'or retire it' = 'wait on',
  ): Promise<StickshiftError | undefined> {
    const defaultMs = otherwise === 'wait on' ? GATEWAY_PATIENCE_MS : APP_PATIENCE_MS;
    const { decisionMs = defaultMs } = this.#parts;
    if (await this.#removals.mayBeDecided(sessionId, decisionMs)) {
      return new StickshiftError('SESSION_MOVING', 'the request that removed the session has not ended');
    }
    const replacement = this.replacements.retiring(sessionId);
    // Of one whose app has gone the agent may say nothing at all.
    if (!replacement?.isConfirmed) return undefined;
    await within(replacement.over, decisionMs);
    if (otherwise === 'or retire it') this.replacements.retireUnwritten(replacement);
    if (replacement.state === 'over') return undefined;
    return new StickshiftError('SESSION_MOVING', 'the session is getting another ID');
  }

  detached(): void {
    this.replacements.detached();
  }

  attached(): void {
    this.replacements.attached();
  }

  /** The agent stops: what waits for an answer from the app is decided as well as it can be. */
  hasten(): void {
    this.replacements.hasten();
    this.#removals.hasten();
  }

  stop(): void {
    this.replacements.stop();
    this.#removals.stop();
  }
}
