export interface HeldSession {
  /** The session as JSON. */
  readonly data: string;
  /** Idle deadline, milliseconds since 1970. */
  readonly idleAt: number;
}

/**
 * The sessions that this process holds, as JSON: a request never shares objects with another one, and a session is
 * ready to be sent at any time. An expired session is never handed out, and is dropped by {@link sweep}.
 */
export class SessionMemory {
  readonly #sessions = new Map<string, HeldSession>();

  get(id: string): HeldSession | undefined {
    const held = this.#sessions.get(id);
    return held && held.idleAt > Date.now() ? held : undefined;
  }

  set(id: string, session: HeldSession): void {
    this.#sessions.set(id, session);
  }

  /** Moves the idle deadline; tells whether the session is there. */
  touch(id: string, idleAt: number): boolean {
    const held = this.get(id);
    if (held) this.#sessions.set(id, { data: held.data, idleAt });
    return held !== undefined;
  }

  delete(id: string): void {
    this.#sessions.delete(id);
  }

  /** IDs of the sessions that have not expired. */
  *ids(): Generator<string> {
    for (const [id] of this.entries()) yield id;
  }

  /** The sessions that have not expired. */
  *entries(): Generator<[id: string, session: HeldSession]> {
    const now = Date.now();
    for (const entry of this.#sessions) if (entry[1].idleAt > now) yield entry;
  }

  /** How many sessions have not expired. */
  count(): number {
    let count = 0;
    for (const _ of this.entries()) count += 1;
    return count;
  }

  /** Drops expired sessions and returns their IDs. */
  sweep(): string[] {
    const now = Date.now();
    const expired: string[] = [];
    for (const [id, { idleAt }] of this.#sessions) {
      if (idleAt > now) continue;
      this.#sessions.delete(id);
      expired.push(id);
    }
    return expired;
  }
}
