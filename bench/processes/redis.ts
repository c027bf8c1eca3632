import { Redis } from 'ioredis';
import { Link } from '../../chaos/network/link.ts';
import { findPorts } from '../../demo/ports.ts';
import { eventually } from '../../test/services/eventually.ts';
import { startLocalRedis } from '../../test/services/redis-process.ts';

/** As an operator would have it: nothing is lost when the process dies, a second at most when the machine does. */
const PERSISTENT = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];

/** A Redis with one replica, and what a benchmark wants to know of it. */
export interface BenchRedis extends AsyncDisposable {
  /** Where everything that is measured connects. */
  readonly url: string;
  readonly version: string;
  /** Straight to the server, whatever the delay. */
  readonly client: Redis;
  /** CPU time that the server has used so far, all threads. */
  cpuMicros(): Promise<number>;
}

/**
 * @param delayMs - how much longer a round trip takes; timers make a little more of it. 0: no link between, nothing is added
 */
export async function startRedis(delayMs: number): Promise<BenchRedis> {
  await using undo = new AsyncDisposableStack();
  const primary = await startLocalRedis({ args: [...PERSISTENT, '--repl-diskless-sync-delay', '0'] });
  undo.defer(() => primary.stop());
  const replica = await startLocalRedis({
    args: [...PERSISTENT, '--replicaof', `127.0.0.1 ${primary.port}`],
  });
  undo.defer(() => replica.stop());
  const client = new Redis(primary.url);
  undo.defer(() => client.disconnect());
  await eventually('the replica is attached', async () =>
    (await client.info('replication')).includes('state=online'),
  );
  const link = delayMs > 0 ? await openLink(primary.port, delayMs, undo) : primary;
  const version = (await client.info('server')).match(/^redis_version:(.*)$/m)?.[1]?.trim() ?? 'unknown';
  const started = undo.move();
  return {
    url: `redis://127.0.0.1:${link.port}`,
    version,
    client,
    async cpuMicros() {
      const info = await client.info('cpu');
      const seconds = ['used_cpu_user', 'used_cpu_sys'].map((name) =>
        Number(info.match(new RegExp(`^${name}:(.*)$`, 'm'))?.[1] ?? Number.NaN),
      );
      return seconds.reduce((sum, value) => sum + value, 0) * 1e6;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Only what goes to Redis is delayed, so that a round trip takes longer by the delay, and not by twice as much. */
async function openLink(targetPort: number, delayMs: number, undo: AsyncDisposableStack): Promise<Link> {
  const [port = 0] = await findPorts(1);
  const link = new Link({ name: 'bench to redis', port, targetPort });
  undo.defer(() => link.close());
  await link.setTargetUp(true);
  link.setTrouble('forward', { delayMs });
  return link;
}
