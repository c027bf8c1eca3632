import { resolve } from 'node:path';
import { didYouMean } from './closest.ts';
import { isLoopback, splitAddress } from './listen-address.ts';
import type { SettingPath } from './problems.ts';
import type { Config } from './schema.ts';

/** What is wrong with settings that are each right by themselves. */
export interface Contradiction {
  readonly path: SettingPath;
  readonly message: string;
}

export function crossCheck(config: Config): Contradiction[] {
  return [
    ...gatewayChecks(config),
    ...cookieChecks(config),
    ...poolChecks(config),
    ...durabilityChecks(config),
    ...agentChecks(config),
    ...journalChecks(config),
  ];
}

function* gatewayChecks({ gateway }: Config): Generator<Contradiction> {
  const { listen, admin, tls } = gateway;
  if (!isLoopback(splitAddress(admin.listen).host) && admin.token === undefined) {
    yield {
      path: ['gateway', 'admin', 'token'],
      message: `is missing; ${admin.listen} is open to the network, so set a token, or listen on 127.0.0.1`,
    };
  }
  if (listen === admin.listen && splitAddress(listen).port !== 0) {
    yield {
      path: ['gateway', 'admin', 'listen'],
      message: 'expected another address than gateway.listen',
    };
  }
  if (tls?.redirect && splitAddress(tls.redirect.listen).port !== 0) {
    const redirect = tls.redirect.listen;
    const other =
      redirect === listen ? 'gateway.listen' : redirect === admin.listen ? 'gateway.admin.listen' : undefined;
    if (other) {
      yield {
        path: ['gateway', 'tls', 'redirect', 'listen'],
        message: `expected another address than ${other}`,
      };
    }
  }
}

function* cookieChecks({ gateway, pools }: Config): Generator<Contradiction> {
  const { affinity } = gateway;
  if (affinity.renewAfter >= affinity.idle) {
    yield {
      path: ['gateway', 'affinity', 'renewAfter'],
      message: 'expected less than gateway.affinity.idle, or clients lose their backend while they use it',
    };
  }
  if (affinity.secure === 'never' && (affinity.partitioned || affinity.sameSite === 'None')) {
    yield {
      path: ['gateway', 'affinity', 'secure'],
      message: 'expected "auto" or "always": browsers refuse SameSite=None and Partitioned without Secure',
    };
  }
  const names = Object.keys(pools);
  // As the gateway names them: with several pools, each has a cookie of its own.
  const affinityCookies =
    names.length > 1 ? names.map((name) => `${affinity.cookie}-${name}`) : [affinity.cookie];
  for (const [name, { session }] of Object.entries(pools)) {
    if (session.cookie !== undefined && affinityCookies.includes(session.cookie)) {
      yield {
        path: ['pools', name, 'session', 'cookie'],
        message: `expected another name than the affinity cookie's, "${session.cookie}" (gateway.affinity.cookie)`,
      };
    }
  }
}

function* poolChecks({ pools }: Config): Generator<Contradiction> {
  const agents = new Map<string, string>();
  const matches = new Map<string, string>();
  for (const [pool, { backends, match }] of Object.entries(pools)) {
    const urls = new Map<string, string>();
    for (const [id, { url, agent }] of Object.entries(backends)) {
      const path = ['pools', pool, 'backends', id];
      const sameUrl = claim(urls, new URL(url).href, `${pool}.${id}`);
      if (sameUrl) yield { path: [...path, 'url'], message: `is the URL of ${sameUrl} too` };
      const sameAgent = claim(agents, new URL(agent).href, `${pool}.${id}`);
      if (sameAgent) {
        yield {
          path: [...path, 'agent'],
          message: `is the agent of ${sameAgent} too; each backend has an agent of its own`,
        };
      }
    }
    const sameMatch = claim(matches, JSON.stringify([match.hosts.toSorted(), match.paths.toSorted()]), pool);
    if (sameMatch) {
      yield {
        path: ['pools', pool, 'match'],
        message: `matches the same requests as pool "${sameMatch}", which would get all of them`,
      };
    }
  }
}

function* durabilityChecks({ pools, store }: Config): Generator<Contradiction> {
  const hasReplicas = !/^(sqlite|redis\+cluster):/.test(store.url);
  const needsRedis =
    '"replica" needs one Redis with replicas, or Sentinel; SQLite has none, and a Redis Cluster is not waited for. Use "ack"';
  for (const [name, pool] of Object.entries(pools)) {
    if (pool.durability === 'replica' && !hasReplicas) {
      yield { path: ['pools', name, 'durability'], message: needsRedis };
    }
    for (const [index, route] of pool.routes.entries()) {
      const path = ['pools', name, 'routes', index];
      if (route.durability === 'replica' && !hasReplicas) {
        yield { path: [...path, 'durability'], message: needsRedis };
      }
      if ((route.durability ?? pool.durability) === 'replica' && route.onStoreDown === 'serve') {
        yield {
          path: [...path, 'onStoreDown'],
          message:
            'expected "refuse": a journal is no replica, so "replica" always refuses while the store is away',
        };
      }
      if (route.durability === undefined && route.hold === undefined && route.onStoreDown === undefined) {
        yield { path, message: 'changes nothing; expected durability, hold or onStoreDown' };
      }
    }
  }
}

function* agentChecks({ agents, pools }: Config): Generator<Contradiction> {
  const served = new Map<string, string>();
  for (const [name, agent] of Object.entries(agents)) {
    const pool = Object.hasOwn(pools, agent.pool) ? pools[agent.pool] : undefined;
    if (!pool) {
      yield {
        path: ['agents', name, 'pool'],
        message: `no pool is called "${agent.pool}"${didYouMean(agent.pool, Object.keys(pools))}`,
      };
      continue;
    }
    const backend = agent.backend ?? name;
    const path = agent.backend === undefined ? ['agents', name] : ['agents', name, 'backend'];
    if (!Object.hasOwn(pool.backends, backend)) {
      yield {
        path,
        message: `pool "${agent.pool}" has no backend "${backend}"${didYouMean(backend, Object.keys(pool.backends))}`,
      };
      continue;
    }
    const other = claim(served, JSON.stringify([agent.pool, backend]), name);
    if (other) yield { path, message: `agent "${other}" stands beside backend "${backend}" already` };
  }
}

/**
 * Agents that listen on one port are on machines of their own, and so are their directories: those may well have one name.
 */
function* journalChecks({ agents }: Config): Generator<Contradiction> {
  const owners = new Map<string, { readonly name: string; readonly port: number }[]>();
  for (const [name, { listen, journal }] of Object.entries(agents)) {
    const directory = resolve(journal.directory ?? `.stickshift/journal/${name}`);
    const { port } = splitAddress(listen);
    const others = owners.get(directory) ?? [];
    const other = others.find((candidate) => candidate.port !== port || port === 0);
    if (other) {
      const message = `agent "${other.name}" keeps its journal there; each agent needs a directory of its own`;
      yield { path: ['agents', name, 'journal', 'directory'], message };
    }
    owners.set(directory, [...others, { name, port }]);
  }
}

/** Notes who has `value`; returns who had it before. */
function claim(taken: Map<string, string>, value: string, who: string): string | undefined {
  const before = taken.get(value);
  if (before === undefined) taken.set(value, who);
  return before;
}
