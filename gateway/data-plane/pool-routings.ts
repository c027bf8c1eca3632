import type { Config } from '../../config/schema.ts';
import { deriveSecrets, keyFromText } from '../../protocol/secrets.ts';
import { createAffinityCookies } from '../affinity/affinity-cookie.ts';
import type { Pool } from '../backends/pool.ts';
import { createBalancer } from '../balancing/balancer.ts';
import { holdRules } from '../hold/hold-rules.ts';
import type { PoolRouting } from '../routing/router.ts';
import { sessionIdReader } from '../session-id/session-id-reader.ts';

/** How each pool finds the backend of a request. */
export function poolRoutings(config: Config, pools: readonly Pool[]): Map<Pool, PoolRouting> {
  const { affinity } = config.gateway;
  const keys = affinity.keys?.map((key) => keyFromText(key, 'affinity-cookie')) ?? [
    deriveSecrets(config.secret).affinity,
  ];
  const routings = new Map<Pool, PoolRouting>();
  for (const pool of pools) {
    routings.set(pool, {
      pool,
      sessionIds: sessionIdReader(pool.config.session),
      affinity: createAffinityCookies({
        keys,
        config: { ...affinity, cookie: affinityCookieName(affinity.cookie, pool, pools) },
        pool: pool.name,
        backendIds: [...pool.backends.keys()],
      }),
      balancer: createBalancer(pool.config.balance),
      holds: holdRules(pool.config),
    });
  }
  return routings;
}

/**
 * Two applications on one host would overwrite each other's binding at every turn if their cookies had one
 * name.
 */
export function affinityCookieName(name: string, pool: Pool, pools: readonly Pool[]): string {
  return pools.length > 1 ? `${name}-${pool.name}` : name;
}
