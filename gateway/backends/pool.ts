import type { Config, PoolConfig } from '../../config/schema.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
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

/** @throws StickshiftError `CONFIG_INVALID` when there is none */
export function poolsOf(config: Pick<Config, 'pools' | 'secret'>): Pool[] {
  const { sessionKey } = deriveSecrets(config.secret);
  const pools = Object.entries(config.pools).map(([name, pool]) => new Pool(name, pool, sessionKey));
  if (pools.length === 0)
    throw new StickshiftError('CONFIG_INVALID', 'no pool is configured; add one under `pools`');
  return pools;
}
