import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { type LocalRedis, startLocalRedis } from './redis-process.ts';

/** Starts a replica of `primary`; resolves when it is attached and has its data. */
export async function startRedisReplica(
  primary: LocalRedis,
  { args = [] }: { readonly args?: readonly string[] } = {},
): Promise<LocalRedis> {
  const replicaof = ['--replicaof', `127.0.0.1 ${primary.port}`, '--repl-diskless-sync-delay', '0'];
  const replica = await startLocalRedis({ args: [...replicaof, ...args] });
  await attached(primary, replica);
  return replica;
}

/** Makes a replica a primary, with what it has; what its primary writes from now on does not reach it. */
export function promote(replica: LocalRedis): Promise<void> {
  return administer(replica, async (client) => {
    await client.replicaof('NO', 'ONE');
  });
}

/** Makes a server a replica, which gives up its own data; resolves when it has the primary's. */
export async function demote(server: LocalRedis, primary: LocalRedis): Promise<void> {
  await administer(server, (client) => client.replicaof('127.0.0.1', primary.port));
  await attached(primary, server);
}

/** Resolves when the replicas of `primary` have all that was written so far. */
export function replicated(primary: LocalRedis, replicas = 1): Promise<void> {
  return administer(primary, async (client) => {
    // WAIT is about this connection's writes, so it makes one.
    await client.set('replicated', '');
    if ((await client.wait(replicas, 5_000)) < replicas) throw new Error('the replicas do not keep up');
  });
}

/** Runs commands of an administrator, over a connection of their own. */
export async function administer<T>(server: LocalRedis, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server.url, { commandTimeout: 6_000 });
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

function attached(primary: LocalRedis, replica: LocalRedis): Promise<true> {
  return administer(primary, (client) =>
    eventually('the replica is attached', async () => {
      const info = await client.info('replication');
      return new RegExp(`port=${replica.port},state=online`).test(info) || undefined;
    }),
  );
}
