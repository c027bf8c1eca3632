import { Cluster, type Redis } from 'ioredis';
import type { StoreWarning } from '../snapshot-store.ts';

/** The scripts declare flags, which Redis understands from 7.0 on. */
const OLDEST_MAJOR_VERSION = 7;

/** What an operator should change about the server, or about the primaries of a cluster. */
export async function inspectServers(client: Redis | Cluster): Promise<StoreWarning[]> {
  const servers = client instanceof Cluster ? client.nodes('master') : [client];
  const found = (await Promise.all(servers.map(inspectServer))).flat();
  // The nodes of a cluster mostly share their configuration, and their warnings.
  return [...new Map(found.map((warning) => [warning.message, warning])).values()];
}

async function inspectServer(server: Redis): Promise<StoreWarning[]> {
  const settings = parseInfo(await server.info());
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

function parseInfo(info: string): Map<string, string> {
  return new Map(
    info
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}
