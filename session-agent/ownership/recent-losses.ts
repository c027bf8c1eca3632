/** How a session was taken from this agent: it moved on, or it was logged out. */
export type Loss = 'fenced' | 'ended';
/**
 * - `late`: it was logged out elsewhere, or before a change that the app made to it all the same
 * - `gone`: the app told of a change, and lost it before it was captured
 */
export type RecentLoss = Loss | 'late' | 'gone';

const REMEMBER_MS = 120_000;
const REMEMBER_AT_MOST = 10_000;

/**
 * Sessions that this agent lost lately. A background commit may find out before the gateway asks about the very change
 * that was refused; with "not held" for an answer, it would let a response go out that must be withheld.
 */
export class RecentLosses {
  readonly #losses = new Map<string, { readonly loss: RecentLoss; readonly at: number }>();

  note(sessionId: string, loss: RecentLoss): void {
    // Deleted first, so that the map stays in order of time and the oldest is at its front.
    this.#losses.delete(sessionId);
    this.#losses.set(sessionId, { loss, at: performance.now() });
    for (const [id, { at }] of this.#losses) {
      if (this.#losses.size <= REMEMBER_AT_MOST && performance.now() - at < REMEMBER_MS) break;
      this.#losses.delete(id);
    }
  }

  get(sessionId: string): RecentLoss | undefined {
    const entry = this.#losses.get(sessionId);
    return entry && performance.now() - entry.at < REMEMBER_MS ? entry.loss : undefined;
  }

  /** It was logged out, or has another ID now: nothing may bring it back. */
  isEnded(sessionId: string): boolean {
    const loss = this.get(sessionId);
    return loss === 'ended' || loss === 'late';
  }

  /** The session is back in this agent's hands. */
  clear(sessionId: string): void {
    this.#losses.delete(sessionId);
  }
}
