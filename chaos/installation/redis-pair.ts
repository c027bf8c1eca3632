import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessPlan, Supervisor } from '../../demo/supervisor.ts';
import type { Link } from '../network/link.ts';
import type { RedisName } from './layout.ts';
import { redisCommand } from './redis-command.ts';

const CATCH_UP_WITHIN_MS = 10_000;

/** Nothing ever listens there. */
const DEAD_END = '1';

export interface RedisPairOptions {
  readonly supervisor: Supervisor;
  readonly directory: string;
  readonly ports: Readonly<Record<RedisName, number>>;
  /** Links that lead to whichever server is the primary. */
  readonly links: () => readonly Link[];
  /** Port of the link from the replica to the primary. */
  readonly replicationPort: number;
}

/** A primary and its replica, which can change places. */
export class RedisPair {
  readonly #options: RedisPairOptions;
  #primary: RedisName = 'redis-1';

  constructor(options: RedisPairOptions) {
    this.#options = options;
  }

  get primary(): RedisName {
    return this.#primary;
  }

  get replica(): RedisName {
    return this.#primary === 'redis-1' ? 'redis-2' : 'redis-1';
  }

  get primaryPort(): number {
    return this.#options.ports[this.#primary];
  }

  async start(): Promise<void> {
    await this.startServer(this.primary);
    await this.startServer(this.replica);
  }

  async startServer(name: RedisName): Promise<void> {
    await mkdir(this.#directoryOf(name), { recursive: true });
    await this.#options.supervisor.start(this.#plan(name));
  }

  /** SIGKILL. What had been answered is in its log file: it survives the process, though not the machine. */
  async kill(name: RedisName): Promise<void> {
    await this.#options.supervisor.kill(name);
  }

  async forgetEverything(name: RedisName): Promise<void> {
    await rm(this.#directoryOf(name), { recursive: true, force: true });
  }

  /** Resolves when the replica has everything that the primary had a moment ago. */
  async untilReplicated(): Promise<void> {
    const giveUp = performance.now() + CATCH_UP_WITHIN_MS;
    const wanted = offset(await this.#info(this.primary), 'master_repl_offset');
    for (;;) {
      const replica = await this.#info(this.replica);
      const isSynced = /master_link_status:up/.test(replica);
      if (isSynced && offset(replica, 'slave_repl_offset') >= wanted) return;
      if (performance.now() > giveUp) throw new Error('the replica does not catch up with the primary');
      await sleep(20);
    }
  }

  /** Lets no client write for a moment, so that a replica can have everything. */
  async pauseWrites(ms: number): Promise<void> {
    await redisCommand(this.primaryPort, 'CLIENT', 'PAUSE', String(ms), 'WRITE');
  }

  /** Makes the replica the primary, and leads every link to it. The old primary becomes its replica. */
  async failOver(): Promise<void> {
    const { ports, links, replicationPort } = this.#options;
    const old = this.#primary;
    const promoted = this.replica;
    await redisCommand(ports[promoted], 'REPLICAOF', 'NO', 'ONE');
    this.#primary = promoted;
    for (const link of links()) link.switchTo(ports[promoted]);
    await redisCommand(ports[old], 'REPLICAOF', '127.0.0.1', String(replicationPort));
  }

  async setReadOnly(readOnly: boolean): Promise<void> {
    const to = readOnly ? ['127.0.0.1', DEAD_END] : ['NO', 'ONE'];
    await redisCommand(this.primaryPort, 'REPLICAOF', ...to);
  }

  async setMemoryLimit(bytes: number): Promise<void> {
    await redisCommand(this.primaryPort, 'CONFIG', 'SET', 'maxmemory', String(bytes));
  }

  async #info(name: RedisName): Promise<string> {
    return String(await redisCommand(this.#options.ports[name], 'INFO', 'replication'));
  }

  #directoryOf(name: RedisName): string {
    return join(this.#options.directory, name);
  }

  #plan(name: RedisName): ProcessPlan {
    const { ports, replicationPort } = this.#options;
    const settings = {
      port: String(ports[name]),
      bind: '127.0.0.1',
      dir: this.#directoryOf(name),
      save: '',
      appendonly: 'yes',
      // Written before the answer at every turn: a killed process forgets nothing. `everysec` may put a write off.
      appendfsync: 'no',
      'repl-diskless-sync-delay': '0',
      'repl-ping-replica-period': '1',
      'repl-timeout': '5',
      ...(name === this.replica && { replicaof: `127.0.0.1 ${replicationPort}` }),
    };
    return {
      name,
      command: 'redis-server',
      args: Object.entries(settings).flatMap(([setting, value]) => [`--${setting}`, ...value.split(' ')]),
      env: {},
      readyUrl: `redis://127.0.0.1:${ports[name]}`,
    };
  }
}

function offset(info: string, field: string): number {
  return Number(new RegExp(`${field}:(\\d+)`).exec(info)?.[1] ?? -1);
}
