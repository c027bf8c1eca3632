import type { PoolConfig } from '../../config/schema.ts';
import { type SessionKey, sessionKeyDeriver } from '../../protocol/session-key.ts';
import { Backend } from './backend.ts';

/** The backends that serve one application. */
export class Pool {
  readonly name: string;
  /** Name in session keys. */
  readonly application: string;
  readonly config: PoolConfig;
  readonly backends: ReadonlyMap<string, Backend>;
  readonly sessionKey: (sessionId: string) => SessionKey;

  constructor(name: string, config: PoolConfig, sessionKeySecret: Uint8Array) {
    this.name = name;
    this.application = config.application ?? name;
    this.config = config;
    this.sessionKey = sessionKeyDeriver(sessionKeySecret, this.application);
    this.backends = new Map(
      Object.entries(config.backends).map(([id, backend]) => [
        id,
        new Backend({
          id,
          pool: name,
          url: new URL(backend.url),
          agentUrl: new URL(backend.agent),
          weight: backend.weight,
        }),
      ]),
    );
  }

  /** Backends that may be given new clients. */
  accepting(now: number): Backend[] {
    return [...this.backends.values()].filter((backend) => backend.isAccepting(now));
  }
}
