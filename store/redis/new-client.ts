import type { ClusterOptions, CommonRedisOptions, RedisOptions } from 'ioredis';
import { Cluster, Redis } from 'ioredis';
import type { RedisTarget } from './redis-url.ts';

/** Longest pause between two attempts to connect. */
const MAX_RECONNECT_DELAY_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** How often a cluster is asked who has which slots, if nothing else has made that clear. */
const SLOTS_REFRESH_MS = 3_000;

/** For a client that listens: it knows best when to subscribe. */
export const forSubscription = {
  autoResubscribe: false,
  enableOfflineQueue: false,
  lazyConnect: false,
  retryStrategy: reconnectDelay,
} as const satisfies Partial<RedisOptions>;

/** A client that reconnects for ever and never queues: without a connection, a command fails at once. */
export function newClient(
  target: RedisTarget,
  commandTimeout: number,
  purpose: Partial<RedisOptions> = {},
): Redis | Cluster {
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
    ...purpose,
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
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    // A command for a node that is still connecting is tried again after this pause, at most until its own timeout.
    retryDelayOnFailover: 50,
  };
  return new Cluster([...target.nodes], { ...cluster, redisOptions: common });
}

/** 50 ms, doubling to a second, with jitter so that the clients of a restarted server do not return in step. */
export function reconnectDelay(attempt: number): number {
  const delay = Math.min(50 * 2 ** Math.min(attempt - 1, 10), MAX_RECONNECT_DELAY_MS);
  return Math.round(delay * (0.75 + Math.random() / 4));
}
