import { GenericContainer, Wait } from 'testcontainers';
import { hasLocalRedis, startLocalRedis } from './redis-process.ts';
import { requirement } from './requirement.ts';

const IMAGE = 'redis:8-alpine';

export interface RedisService {
  readonly url: string;
  /** What it is, for test names and messages. */
  readonly origin: 'REDIS_URL' | 'container' | 'process';
  stop(): Promise<void>;
}

/** Options of `describe` for tests that need {@link startLocalRedis}: skipped loudly without `redis-server`. */
export function localRedisRequirement(): { skip: string | false } {
  return requirement('redis-server', hasLocalRedis(), 'install it, as with apt-get install redis-server');
}

/**
 * A Redis for tests: `REDIS_URL`, else a container, else `redis-server` on PATH. Its keys may be another test's as well:
 * use random session keys, and never flush. `database` keeps installations apart that would be foreign to each other. Tests that break their Redis start one with `startLocalRedis`.
 *
 * @returns `undefined` when there is none; `redisRequirement` then says what to do
 */
export async function startRedis({ database = 0 } = {}): Promise<RedisService | undefined> {
  const { REDIS_URL } = process.env;
  if (REDIS_URL) {
    const url = new URL(REDIS_URL);
    if (database > 0) url.pathname = `/${database}`;
    return { url: url.href, origin: 'REDIS_URL', stop: async () => undefined };
  }
  const container = await startContainer();
  if (container !== undefined) return container;
  if (!hasLocalRedis()) return undefined;
  const { url, stop } = await startLocalRedis();
  return { url, origin: 'process', stop };
}

/** Options of `describe` for tests that need what {@link startRedis} returned. */
export function redisRequirement(service: RedisService | undefined): { skip: string | false } {
  return requirement('Redis', service !== undefined, 'set REDIS_URL, start Docker, or install redis-server');
}

async function startContainer(): Promise<RedisService | undefined> {
  try {
    const container = await new GenericContainer(IMAGE)
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
      .start();
    return {
      url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
      origin: 'container',
      stop: async () => {
        await container.stop();
      },
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`No Redis container (${reason}); looking for redis-server on PATH.\n`);
    return undefined;
  }
}
