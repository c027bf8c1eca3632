import type { Logger } from 'pino';
import type { StoreConfig } from '../config/schema.ts';
import { asStickshiftError } from '../protocol/errors.ts';
import { RedisSnapshotStore } from './redis/redis-snapshot-store.ts';
import { parseRedisUrl } from './redis/redis-url.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import { SqliteSnapshotStore } from './sqlite/sqlite-snapshot-store.ts';

const SQLITE = 'sqlite:';

export interface OpenStoreOptions {
  /** Fingerprint of the installation, as `deriveSecrets` gives it. */
  readonly installation: string;
  /** How many replicas commits will wait for. With fewer, a warning is logged. Default 0. */
  readonly replicas?: number;
  readonly logger: Logger;
}

/**
 * Opens the store that the URL names and logs what is wrong with its settings. A Redis that cannot be reached is logged
 * and tried again for ever; a file that cannot be used is an error, for waiting does not mend it.
 *
 * @throws StickshiftError `CONFIG_INVALID`; for an SQLite file that cannot be opened of source `store`, and `STORE_FOREIGN`
 *   for one of another installation
 */
export async function openStore(
  config: Pick<StoreConfig, 'url' | 'commandTimeout' | 'settle'>,
  { installation, replicas = 0, logger }: OpenStoreOptions,
): Promise<SnapshotStore> {
  const { url, commandTimeout, settle } = config;
  const options = { commandTimeout, settle, installation, logger };
  if (url.startsWith(SQLITE)) {
    const store = await SqliteSnapshotStore.open({ ...options, path: url.slice(SQLITE.length) });
    await warningReporter(store, logger)();
    return store;
  }
  const store = await RedisSnapshotStore.open({ ...options, replicas, target: parseRedisUrl(url) });
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
