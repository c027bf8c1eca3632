import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { type LocalRedis, startLocalRedis } from './redis-process.ts';

const SERVICE = 'shop';
const PASSWORD = 'p@ss/word:1';
const SENTINEL_PASSWORD = 'sentinel&word';

/** A primary and a replica, each behind a password, and one sentinel with another password. */
export interface RedisSentinel {
  readonly url: string;
  readonly primary: LocalRedis;
  /** Resolves when the replica has everything that was written so far. */
  replicated(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisSentinel(): Promise<RedisSentinel> {
  const auth = ['--requirepass', PASSWORD, '--masterauth', PASSWORD, '--repl-diskless-sync-delay', '0'];
  const primary = await startLocalRedis({ args: auth });
  const replica = await startLocalRedis({ args: [...auth, '--replicaof', `127.0.0.1 ${primary.port}`] });
  // A sentinel learns of replicas when it first asks the primary, and then only every ten seconds.
  await withClient(primary.port, PASSWORD, (client) =>
    eventually('the replica is attached', async () =>
      (await client.info('replication')).includes('state=online'),
    ),
  );
  const sentinel = await startLocalRedis({
    sentinel: async (directory) => {
      const file = join(directory, 'sentinel.conf');
      await writeFile(
        file,
        [
          `sentinel monitor ${SERVICE} 127.0.0.1 ${primary.port} 1`,
          `sentinel auth-pass ${SERVICE} ${PASSWORD}`,
          `sentinel down-after-milliseconds ${SERVICE} 2000`,
          `requirepass ${SENTINEL_PASSWORD}`,
          '',
        ].join('\n'),
      );
      return file;
    },
  });
  await withClient(sentinel.port, SENTINEL_PASSWORD, (client) =>
    eventually('the sentinel knows the replica', async () => {
      const replicas = await client.call('SENTINEL', 'REPLICAS', SERVICE);
      return Array.isArray(replicas) && replicas.length === 1;
    }),
  );
  const credentials = `:${encodeURIComponent(PASSWORD)}`;
  const parameters = new URLSearchParams({ sentinelPassword: SENTINEL_PASSWORD });
  return {
    url: `redis+sentinel://${credentials}@127.0.0.1:${sentinel.port}/${SERVICE}?${parameters}`,
    primary,
    replicated: () =>
      withClient(primary.port, PASSWORD, async (client) => {
        // WAIT is about this connection's writes, so it makes one.
        await client.set('replicated', '');
        const replicas = await client.wait(1, 5_000);
        if (replicas !== 1) throw new Error('the replica does not keep up');
      }),
    stop: async () => {
      await Promise.all([sentinel, replica, primary].map((server) => server.stop()));
    },
  };
}

async function withClient<T>(port: number, password: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ port, password, commandTimeout: 5_000 });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}
