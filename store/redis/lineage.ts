import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { foreignStore } from '../installation.ts';
import type { Settling } from '../settling.ts';
import type { Introduction } from './connection.ts';
import { Reply } from './replies.ts';
import { runScript } from './scripts.ts';
import { primariesOf, readInfo, type ServerInfo } from './server-info.ts';

/** What the store says of itself as a whole; see `scripts/introduce-1.lua`. */
export const LINEAGE_KEY = 'stickshift:lineage';

/** Finds out whose store it is, and whether it may have lost what this process or another one wrote. */
export class RedisLineage implements Introduction {
  readonly #settling: Settling;
  readonly #installation: string;
  readonly #label: string;

  constructor(settling: Settling, installation: string, label: string) {
    this.#settling = settling;
    this.#installation = installation;
    this.#label = label;
  }

  /** @throws StickshiftError `STORE_FOREIGN` */
  async introduce(client: Redis | Cluster, identities?: readonly string[]): Promise<readonly string[]> {
    const { settleMs, token = '' } = this.#settling;
    const servers = identities ?? (settleMs === 0 ? [] : await identitiesOf(client));
    const args = [this.#installation, String(settleMs), token, randomUUID(), ...servers];
    const reply = new Reply('introduce', await runScript(client, 'introduce', [LINEAGE_KEY], args));
    return reply.choose({
      introduced: () => {
        this.#settling.learn({ token: reply.text(1), remainingMs: reply.whole(2) });
        return servers;
      },
      foreign: () => {
        throw foreignStore(this.#label, reply.text(1), this.#installation);
      },
    });
  }
}

/** Of a server, as long as its process lives. */
export async function runIdOf(server: Redis): Promise<string | undefined> {
  return (await readInfo(server)).get('run_id');
}

/** Whether a server is one of those that an introduction found; none are known of a store that never settles. */
export function isAmong(identities: readonly string[], runId: string | undefined): boolean {
  return identities.length === 0 || identities.some((identity) => identity.startsWith(`${runId}:`));
}

async function identitiesOf(client: Redis | Cluster): Promise<string[]> {
  const servers = await Promise.all(primariesOf(client).map(readInfo));
  return servers.flatMap((server) => identityOf(server) ?? []);
}

/**
 * Another one after every restart (`run_id`) and every promotion (the replication history that it branched off from).
 * Not `master_replid`, which changes without any loss, too, when a primary gets its first replica.
 */
function identityOf(server: ServerInfo): string | undefined {
  const runId = server.get('run_id');
  if (runId === undefined) return undefined;
  return [runId, server.get('master_replid2'), server.get('second_repl_offset')].join(':');
}
