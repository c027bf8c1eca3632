import type { Cluster, Redis } from 'ioredis';
import type { StoreWarning } from '../snapshot-store.ts';
import { primariesOf, readInfo } from './server-info.ts';

/** The scripts declare flags, which Redis understands from 7.0 on. */
const OLDEST_MAJOR_VERSION = 7;
const NEARLY_FULL = 0.9;

/**
 * What an operator should change about the server, or about the primaries of a cluster.
 *
 * @param replicas - how many replicas commits wait for
 */
export async function inspectServers(client: Redis | Cluster, replicas: number): Promise<StoreWarning[]> {
  const inspected = primariesOf(client).map((server) => inspectServer(server, replicas));
  const found = (await Promise.all(inspected)).flat();
  // The nodes of a cluster mostly share their configuration, and their warnings.
  return [...new Map(found.map((warning) => [warning.message, warning])).values()];
}

async function inspectServer(server: Redis, replicas: number): Promise<StoreWarning[]> {
  const settings = await readInfo(server);
  const warnings: StoreWarning[] = [];

  const version = settings.get('redis_version');
  if (version !== undefined && Number.parseInt(version, 10) < OLDEST_MAJOR_VERSION) {
    warnings.push({
      code: 'unsupported-version',
      message: `Redis ${version} is too old: ${OLDEST_MAJOR_VERSION}.0 or later is needed`,
    });
  }
  const policy = settings.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push({
      code: 'eviction',
      message: `maxmemory-policy is ${policy}: a full Redis silently drops sessions; set it to noeviction`,
    });
  }
  if (settings.get('aof_enabled') === '0' && (await savesToDisk(server)) === false) {
    warnings.push({
      code: 'no-persistence',
      message: 'neither appendonly nor save is configured: a restart of Redis loses all sessions',
    });
  }
  const [used, limit] = [Number(settings.get('used_memory')), Number(settings.get('maxmemory'))];
  if (limit > 0 && used >= NEARLY_FULL * limit) {
    warnings.push({
      code: 'nearly-full',
      message:
        'Redis has used more than nine tenths of its maxmemory: once it is full, no change of a session can be saved',
    });
  }
  const connected = Number(settings.get('connected_slaves'));
  if (connected < replicas) {
    warnings.push({
      code: 'no-replicas',
      message: `durability \`replica\` waits for ${replicas} replicas, and Redis has ${connected}: held writes get 503`,
    });
  }
  return warnings;
}

/** `undefined` where CONFIG is not allowed, as with managed services. */
async function savesToDisk(server: Redis): Promise<boolean | undefined> {
  try {
    const reply = (await server.config('GET', 'save')) as unknown;
    return Array.isArray(reply) ? reply[1] !== '' : undefined;
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return undefined;
    throw error;
  }
}
