import type { SessionKey } from '../../protocol/session-key.ts';
import type { Pool } from '../backends/pool.ts';

/**
 * One request's session. The session ID stays in the process; the key, the only form for logs, traces and the store, costs
 * an HMAC and is derived when something first asks for it: never for a request that simply goes to its backend.
 */
export class SessionReference {
  readonly pool: Pool;
  readonly id: string;
  /** Key of in-process maps. */
  readonly ref: string;
  #key: SessionKey | undefined;

  constructor(pool: Pool, id: string) {
    this.pool = pool;
    this.id = id;
    this.ref = sessionRef(pool.name, id);
  }

  get key(): SessionKey {
    this.#key ??= this.pool.sessionKey(this.id);
    return this.#key;
  }
}

/** What a session is called in maps of this process. A pool's name has no space, so two pools cannot meet in one of them. */
export function sessionRef(pool: string, id: string): string {
  return `${pool} ${id}`;
}
