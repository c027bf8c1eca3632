import { Redis } from 'ioredis';

const WITHIN_MS = 5_000;

/** One command to a Redis server on loopback, over a connection of its own. */
export async function redisCommand(port: number, name: string, ...args: string[]): Promise<unknown> {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    commandTimeout: WITHIN_MS,
    connectTimeout: WITHIN_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    lazyConnect: true,
  });
  // The command that was asked for rejects with the same error.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}
