import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { findPorts } from '../../demo/ports.ts';
import { type Cores, pinMeasured } from '../processes/cores.ts';
import type { ProxyLoad } from '../processes/proxy-load.ts';
import { startCaddy } from './caddy.ts';
import { startHaproxy } from './haproxy.ts';
import { startNginx } from './nginx.ts';
import { startBare, startStickshift } from './node-proxies.ts';
import {
  type Certificate,
  PROXY_NAMES,
  type ProxyName,
  type RunningProxy,
  type StartProxy,
} from './proxy.ts';

const START: Readonly<Record<ProxyName, StartProxy>> = {
  haproxy: startHaproxy,
  nginx: startNginx,
  caddy: startCaddy,
  'http-proxy-3': startBare,
  'stickshift-full': startStickshift(false),
  'stickshift-fast': startStickshift(true),
};
/** Clients that are looked at to see that they stay where they are bound. */
const WATCHED_CLIENTS = 32;

/** What all proxies of a run share. */
export interface Surroundings {
  readonly servers: readonly { readonly name: string; readonly port: number }[];
  readonly load: ProxyLoad;
  readonly cores: Cores | undefined;
  /** For everything that is written. */
  readonly directory: string;
  readonly connections: number;
}

export interface Lineup extends AsyncDisposable {
  readonly proxies: ReadonlyMap<ProxyName, RunningProxy>;
  readonly leftOut: ReadonlyMap<ProxyName, string>;
}

/** Starts all that can be compared, side by side; none has anything to do until it is its turn. */
export async function startLineup(
  surroundings: Surroundings,
  options: { readonly certificate?: Certificate; readonly accessLog?: boolean } = {},
): Promise<Lineup> {
  await using undo = new AsyncDisposableStack();
  const proxies = new Map<ProxyName, RunningProxy>();
  const leftOut = new Map<ProxyName, string>();
  // All at once: asked for one by one, a port might be given twice before anybody listens on it.
  const ports = await findPorts(PROXY_NAMES.length * 2);
  const root = await mkdtemp(join(surroundings.directory, 'lineup-'));
  const start = async (name: ProxyName) => {
    const directory = join(root, name);
    await mkdir(directory);
    return START[name]({
      port: ports.pop() ?? 0,
      adminPort: ports.pop() ?? 0,
      servers: surroundings.servers,
      directory,
      certificate: options.certificate,
      accessLog: options.accessLog ?? false,
      connections: surroundings.connections,
    });
  };
  const attempts = await Promise.allSettled(PROXY_NAMES.map(start));
  const failures: unknown[] = [];
  for (const [index, name] of PROXY_NAMES.entries()) {
    const attempt = attempts[index];
    if (attempt?.status === 'fulfilled') {
      if ('leftOut' in attempt.value) leftOut.set(name, attempt.value.leftOut);
      else proxies.set(name, undo.use(attempt.value));
    } else {
      failures.push(attempt?.reason);
    }
  }
  // Only now: those that did start are stopped on the way out.
  if (failures.length > 0) throw new AggregateError(failures, 'a proxy did not start');
  for (const [name, proxy] of proxies) {
    pinMeasured(proxy.pid, surroundings.cores);
    if (name === 'http-proxy-3') continue;
    await assertBinds(name, proxy, surroundings.load, options.certificate !== undefined);
  }
  const all = undo.move();
  return { proxies, leftOut, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The proxies in the order of a round: each round begins with another one. */
export function inTurn({ proxies }: Lineup, round: number): [ProxyName, RunningProxy][] {
  const all = [...proxies];
  const first = round % Math.max(1, all.length);
  return [...all.slice(first), ...all.slice(0, first)];
}

/** A proxy that binds nobody would be compared for work that it does not do. */
async function assertBinds(
  name: string,
  { port }: RunningProxy,
  load: ProxyLoad,
  tls: boolean,
): Promise<void> {
  const { clients = [] } = await load.run({ do: 'bind', port, connections: WATCHED_CLIENTS, tls });
  for (const { cookie, servers } of clients) {
    if (servers.some((server) => server === '' || server !== servers[0]) || !cookie.includes('; ')) {
      throw new Error(`${name} does not bind its clients: one with ${cookie} was on ${servers.join(', ')}`);
    }
  }
  if (new Set(clients.flatMap(({ servers }) => servers)).size < 2) {
    throw new Error(`${name} sends all its clients to one server`);
  }
}
