import type { ClusterOptions, CommonRedisOptions, RedisOptions } from 'ioredis';
import { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { asStoreError } from './redis-errors.ts';
import type { RedisTarget } from './redis-url.ts';
import { Reply } from './replies.ts';
import { defineScripts, runScript, type ScriptName } from './scripts.ts';

/** Longest pause between two attempts to connect. */
const MAX_RECONNECT_DELAY_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;

/** A client that reconnects for ever and never queues: without a connection, a command fails at once. */
export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #label: string;
  readonly #log: Logger;
  readonly #timeoutMs: number;
  #lastError: Error | undefined;
  #outage = false;
  #closed = false;

  constructor(target: RedisTarget, commandTimeout: number, logger: Logger) {
    this.#label = target.label;
    this.#log = logger;
    this.#timeoutMs = commandTimeout;
    this.client = newClient(target, commandTimeout);
    defineScripts(this.client);
    this.client.on('ready', () => this.#connected());
    this.client.on('close', () => this.#out());
    // Without a listener, an 'error' event would end the process.
    this.client.on('error', (error: Error) => this.#failed(error));
    this.client.on('sentinelError', (error: Error) => this.#failed(error));
    this.client.on('node error', (error: Error) => this.#failed(error));
  }

  get ready(): boolean {
    return this.client.status === 'ready' && !this.#closed;
  }

  /** Resolves when connected, when an attempt has failed, or after `boundMs`. */
  firstAttempt(boundMs: number): Promise<void> {
    if (this.ready) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.client.off('ready', settle);
        this.client.off('close', settle);
        resolve();
      };
      const timer = setTimeout(settle, boundMs);
      this.client.on('ready', settle);
      this.client.on('close', settle);
    });
  }

  async run(script: ScriptName, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Reply> {
    return new Reply(script, await this.ask(script, (client) => runScript(client, script, keys, args)));
  }

  /** Sends under a deadline of its own: ioredis counts its timeout anew after each wait for a pipeline or redirection. */
  async ask<T>(operation: string, send: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    if (!this.ready) throw this.#unavailable(operation);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      const late = () =>
        reject(new StickshiftError('STORE_TIMEOUT', `${operation}: no answer in time (${this.#label})`));
      timer = setTimeout(late, this.#timeoutMs);
    });
    try {
      return await Promise.race([send(this.client), deadline]);
    } catch (error) {
      throw asStoreError(error, operation, this.#label);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Why nothing can be sent now. */
  #unavailable(operation: string): StickshiftError {
    if (this.#closed) return new StickshiftError('STORE_UNREACHABLE', `${operation}: the store is closed`);
    const last = this.#lastError;
    // Redis is there, but does not let us in: a wrong password is not cured by waiting.
    const code = last?.name === 'ReplyError' ? 'STORE_REFUSED' : 'STORE_UNREACHABLE';
    const why = last === undefined ? 'not connected' : `not connected: ${last.message}`;
    return new StickshiftError(code, `${operation}: ${why} (${this.#label})`);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const wasReady = this.ready;
    this.#closed = true;
    if (wasReady) {
      // Lets commands under way finish; a server that does not answer is left without a goodbye.
      await this.client
        .quit()
        .catch((error: Error) => this.#log.debug({ reason: error.message }, 'redis: no goodbye'));
    }
    this.client.disconnect();
  }

  #connected(): void {
    this.#lastError = undefined;
    this.#outage = false;
    this.#log.info({ store: this.#label }, 'store connected');
  }

  #failed(error: Error): void {
    this.#lastError = error;
    // One node of a cluster may fail while the others serve.
    if (this.ready) this.#log.debug({ store: this.#label, reason: error.message }, 'store connection failed');
    else this.#out();
  }

  #out(): void {
    if (this.#closed || this.#outage) return;
    // Once per outage, not once per attempt.
    this.#outage = true;
    this.#log.warn(
      { store: this.#label, reason: this.#lastError?.message },
      'store not connected; trying again',
    );
  }
}

function newClient(target: RedisTarget, commandTimeout: number): Redis | Cluster {
  const common: Omit<CommonRedisOptions, 'replyMapping'> = {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    connectionName: 'stickshift',
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout,
    // A server whose machine lost power never closes the connection. Without this, commands would time out one by one
    // and pile up in memory for as long as TCP retransmits, a quarter of an hour.
    socketTimeout: 2 * commandTimeout,
    // At 0, every command whose answer is due when the connection breaks is rejected at once.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old primary may still answer, as a replica. Connecting anew finds the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  const single: Omit<RedisOptions, 'replyMapping'> = {
    ...common,
    retryStrategy: reconnectDelay,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
  };
  if (target.kind === 'single') {
    const { host, port } = target.server;
    return new Redis({
      ...single,
      host,
      port,
      db: target.db,
      ...(target.tls ? { tls: {} } : {}),
    });
  }
  if (target.kind === 'sentinel') {
    return new Redis({
      ...single,
      sentinels: [...target.sentinels],
      name: target.service,
      role: 'master',
      db: target.db,
      sentinelRetryStrategy: reconnectDelay,
      sentinelCommandTimeout: commandTimeout,
      ...(target.sentinelAuth.username === undefined
        ? {}
        : { sentinelUsername: target.sentinelAuth.username }),
      ...(target.sentinelAuth.password === undefined
        ? {}
        : { sentinelPassword: target.sentinelAuth.password }),
    });
  }
  const cluster: Omit<ClusterOptions, 'redisOptions'> = {
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelay,
    slotsRefreshTimeout: 2 * commandTimeout,
    // A command for a node that is still connecting is tried again after this pause, at most until its own timeout.
    retryDelayOnFailover: 50,
    // Pipelines do not follow a slot that moves: ioredis redirects one only if all its commands fail alike.
    enableAutoPipelining: false,
  };
  return new Cluster([...target.nodes], { ...cluster, redisOptions: common });
}

/** 50 ms, doubling to a second, with jitter so that the clients of a restarted server do not return in step. */
function reconnectDelay(attempt: number): number {
  const delay = Math.min(50 * 2 ** Math.min(attempt - 1, 10), MAX_RECONNECT_DELAY_MS);
  return Math.round(delay * (0.75 + Math.random() / 4));
}
