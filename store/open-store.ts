import type { Logger } from 'pino';
import type { StoreConfig } from '../config/schema.ts';
import { asStickshiftError } from '../protocol/errors.ts';
import { RedisSnapshotStore } from './redis/redis-snapshot-store.ts';
import { parseRedisUrl } from './redis/redis-url.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import { SqliteSnapshotStore } from './sqlite/sqlite-snapshot-store.ts';

const SQLITE = 'sqlite:';

/**
 * Opens the store that the URL names and logs what is wrong with its settings. A Redis that cannot be reached is logged
 * and tried again for ever; a file that cannot be used is an error, for waiting does not mend it.
 *
 * @throws StickshiftError `CONFIG_INVALID`, or of source `store` for an SQLite file that cannot be opened
 */
export async function openStore(config: StoreConfig, logger: Logger): Promise<SnapshotStore> {
  const { url, commandTimeout } = config;
  if (url.startsWith(SQLITE)) {
    const store = await SqliteSnapshotStore.open({ path: url.slice(SQLITE.length), commandTimeout, logger });
    await warningReporter(store, logger)();
    return store;
  }
  const target = parseRedisUrl(url);
  const store = await RedisSnapshotStore.open({ target, commandTimeout, logger });
  // At every connect: after a failover it is another server, with other settings.
  store.onConnect(warningReporter(store, logger));
  return store;
}

/** Returns what checks the store and logs each warning the first time it is found. */
function warningReporter(store: SnapshotStore, logger: Logger): () => Promise<void> {
  const logged = new Set<string>();
  return async () => {
    try {
      for (const { code, message } of await store.check()) {
        if (logged.has(message)) continue;
        logged.add(message);
        logger.warn({ code }, `store: ${message}`);
      }
    } catch (error) {
      const { code, message } = asStickshiftError(error);
      logger.warn({ code, reason: message }, 'store could not be checked');
    }
  };
}
