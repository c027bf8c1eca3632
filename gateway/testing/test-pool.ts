import { type ConfigInput, configSchema } from '../../config/schema.ts';
import { Backend } from '../backends/backend.ts';
import { Pool } from '../backends/pool.ts';

type PoolInput = NonNullable<ConfigInput['pools']>[string];

/** A pool of the given backends with the defaults of the configuration. */
export function testPool(
  backends: Record<string, { url?: URL; agent?: URL; weight?: number }>,
  settings: Partial<Omit<PoolInput, 'backends'>> & { name?: string } = {},
): Pool {
  const { name = 'shop', ...rest } = settings;
  const nobody = 'http://127.0.0.1:9';
  const config = configSchema.parse({
    secret: 'a secret of at least 32 characters',
    pools: {
      [name]: {
        session: { cookie: 'sid' },
        ...rest,
        backends: Object.fromEntries(
          Object.entries(backends).map(([id, { url, agent, weight = 100 }]) => [
            id,
            { url: url?.href ?? nobody, agent: agent?.href ?? nobody, weight },
          ]),
        ),
      },
    },
  });
  const pool = config.pools[name];
  if (!pool) throw new Error('the pool just written is missing');
  return new Pool(name, pool, new Uint8Array(32));
}

export function testBackend(options: { id?: string; url?: URL; agentUrl?: URL } = {}): Backend {
  const nobody = new URL('http://127.0.0.1:9');
  const { id = 'app-1', url = nobody, agentUrl = nobody } = options;
  return new Backend({ id, pool: 'shop', url, agentUrl, weight: 100 });
}

/** The pool's backend of that name. */
export function backendOf(pool: Pool, id: string): Backend {
  const backend = pool.backends.get(id);
  if (!backend) throw new Error(`no backend ${id}`);
  return backend;
}
