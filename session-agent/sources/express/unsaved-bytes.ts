import type { CapturedSession } from '../session-source.ts';

/**
 * Session bytes that came with a change, kept until they are captured: most commits need not ask the app again, and the
 * last change of an app that was killed is not lost. Bounded; what does not fit is asked for instead.
 */
export class UnsavedBytes {
  readonly #limit: number;
  readonly #sessions = new Map<string, CapturedSession>();
  #size = 0;

  /** @param limit - bytes kept at most, all sessions together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  put(id: string, session: CapturedSession): void {
    this.drop(id);
    this.#sessions.set(id, session);
    this.#size += session.data.length;
    for (const oldest of this.#sessions.keys()) {
      if (this.#size <= this.#limit) return;
      this.drop(oldest);
    }
  }

  touch(id: string, idleAt: number): void {
    const session = this.#sessions.get(id);
    if (session) this.#sessions.set(id, { data: session.data, idleAt });
  }

  take(id: string): CapturedSession | undefined {
    const session = this.#sessions.get(id);
    this.drop(id);
    return session;
  }

  drop(id: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    this.#size -= session.data.length;
    this.#sessions.delete(id);
  }
}
