import { Redis } from 'ioredis';
import { findPorts } from '../../demo/ports.ts';
import { eventually } from './eventually.ts';
import { type LocalRedis, startLocalRedis } from './redis-process.ts';

const SLOTS = 16_384;

/** A Redis Cluster of three primaries without replicas, as `redis-server` processes. */
export interface RedisCluster {
  readonly url: string;
  readonly nodes: readonly LocalRedis[];
  stop(): Promise<void>;
}

export async function startRedisCluster(): Promise<RedisCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '5000'];
  // All of them at once, so that none is found twice.
  const ports = await findPorts(6);
  const [own, buses] = [ports.slice(0, 3), ports.slice(3)];
  const nodes = await Promise.all(
    own.map((port, index) => startLocalRedis({ port, args: [...args, '--cluster-port', `${buses[index]}`] })),
  );
  const clients = nodes.map((node) => new Redis(node.url, { commandTimeout: 5_000 }));
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        const first = Math.ceil((SLOTS * index) / nodes.length);
        const last = Math.ceil((SLOTS * (index + 1)) / nodes.length) - 1;
        await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
        // Without epochs of their own, nodes that meet first have to settle whose slots are whose.
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      }),
    );
    for (const [index, { port }] of nodes.entries()) {
      await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, buses[index] ?? 0);
    }
    for (const client of clients) {
      await eventually('every node sees the whole cluster', async () => {
        const info = String(await client.call('CLUSTER', 'INFO'));
        return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
      });
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    url: `redis+cluster://${nodes.map((node) => `127.0.0.1:${node.port}`).join(',')}`,
    nodes,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}
