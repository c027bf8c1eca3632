import type { ConfigInput } from '../../config/schema.ts';
import {
  agentOf,
  BACKENDS,
  type BackendName,
  type GatewayName,
  hostOf,
  type LinkName,
  POOLS,
  type Pool,
  poolOf,
} from './layout.ts';

/** What an application is promised, as a run sets it. */
export interface PoolPolicy {
  readonly durability: 'async' | 'ack';
  readonly hold: 'writes' | 'never';
  readonly onStoreDown: 'serve' | 'refuse';
}

export interface Ports {
  /** What a process listens on itself. */
  readonly gateway: Readonly<Record<GatewayName, number>>;
  readonly admin: Readonly<Record<GatewayName, number>>;
  readonly app: Readonly<Record<BackendName, number>>;
  readonly agent: Readonly<Record<BackendName, number>>;
  readonly redis: Readonly<Record<'redis-1' | 'redis-2', number>>;
  /** What stands before it. */
  readonly link: Readonly<Record<LinkName, number>>;
}

export interface ConfigurationOptions {
  readonly secret: string;
  readonly ports: Ports;
  readonly policies: Readonly<Record<Pool, PoolPolicy>>;
  /** Of each gateway. */
  readonly workers: number;
}

const address = (port: number) => `127.0.0.1:${port}`;
const url = (port: number) => `http://${address(port)}`;

/** A gateway reaches everything through its own links. */
export function gatewayConfiguration(name: GatewayName, options: ConfigurationOptions): ConfigInput {
  const { ports, secret, policies, workers } = options;
  return {
    secret,
    store: store(ports.link[`${name}→redis`]),
    gateway: {
      listen: address(ports.gateway[name]),
      admin: { listen: address(ports.admin[name]) },
      drain: { deadline: '5s' },
      timeouts: { shutdown: '1s' },
      workers,
    },
    pools: pools(policies, (backend) => ({
      url: url(ports.link[`${name}→${backend}`]),
      agent: url(ports.link[`${name}→${agentOf(backend)}`]),
    })),
  };
}

export interface AgentDirectories {
  /** Socket of the app's session store. */
  readonly socket: string;
  /** PHP's session files. */
  readonly sessions: string;
  readonly journal: string;
}

export function agentConfiguration(
  backend: BackendName,
  options: ConfigurationOptions,
  { socket, sessions, journal }: AgentDirectories,
): ConfigInput {
  const { ports, secret, policies } = options;
  return {
    secret,
    store: store(ports.link[`${agentOf(backend)}→redis`]),
    pools: pools(policies, (id) => ({ url: url(ports.app[id]), agent: url(ports.agent[id]) })),
    agents: {
      [backend]: {
        pool: poolOf(backend),
        listen: address(ports.agent[backend]),
        source:
          poolOf(backend) === 'php'
            ? { type: 'files', directory: sessions }
            : { type: 'express', listen: socket },
        journal: { directory: journal },
      },
    },
  };
}

function store(port: number): ConfigInput['store'] {
  return { url: `redis://${address(port)}`, settle: '3s' };
}

function pools(
  policies: ConfigurationOptions['policies'],
  urls: (backend: BackendName) => { url: string; agent: string },
): ConfigInput['pools'] {
  return Object.fromEntries(
    POOLS.map((pool) => [
      pool,
      {
        match: { hosts: [hostOf(pool)] },
        session: pool === 'php' ? { cookie: 'PHPSESSID' } : { cookie: 'connect.sid', format: 'express' },
        health: { interval: '250ms' },
        ...policies[pool],
        backends: Object.fromEntries(
          BACKENDS.filter((backend) => poolOf(backend) === pool).map((backend) => [backend, urls(backend)]),
        ),
      },
    ]),
  );
}
