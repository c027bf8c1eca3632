import { pino } from 'pino';
import { RedisSnapshotStore } from '../../store/redis/redis-snapshot-store.ts';
import { parseRedisUrl } from '../../store/redis/redis-url.ts';

/** Opens a store for a test; its default timeout is out of the way of slow machines. */
export async function openRedisStore(
  url: string,
  {
    commandTimeout = 5_000,
    settle = 5_000,
    installation = 'test',
    replicas = 0,
    logger = pino({ level: 'silent' }),
  } = {},
): Promise<{ store: RedisSnapshotStore; close(): Promise<void> }> {
  const store = await RedisSnapshotStore.open({
    target: parseRedisUrl(url),
    commandTimeout,
    settle,
    installation,
    replicas,
    logger,
  });
  return { store, close: () => store.close() };
}
