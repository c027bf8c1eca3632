import { StickshiftError } from '../../protocol/errors.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Where Redis is, as read from the configured URL. */
export type RedisTarget = Credentials & {
  /** The target without its credentials: what logs and error messages may show. */
  readonly label: string;
} & (
    | { readonly kind: 'single'; readonly server: HostPort; readonly db: number; readonly tls: boolean }
    | {
        readonly kind: 'sentinel';
        readonly sentinels: readonly HostPort[];
        readonly service: string;
        readonly db: number;
        /** Credentials of the sentinels themselves, which are not those of the servers. */
        readonly sentinelAuth: Credentials;
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] }
  );

/** Nothing after the credentials may hold an @, so that no part of a password is ever taken for something else. */
const URL_PARTS =
  /^(redis|rediss|redis\+sentinel|redis\+cluster):\/\/(?:(.*)@)?([^/?#@]+)(?:\/([^/?#@]*))?(?:\?([^#@]*))?$/;
const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

/**
 * Reads `redis://`, `rediss://`, `redis+sentinel://host:port,host:port/service` and `redis+cluster://host:port,host:port`,
 * each with `user:password@` (percent-encoded); `/<db>` or `?db=` where Redis has databases; for Sentinel also
 * `?sentinelUser=` and `?sentinelPassword=`.
 *
 * @throws StickshiftError `CONFIG_INVALID`; the message never repeats the URL, which may hold a password
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme, userInfo, hosts, path, query] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined || hosts === undefined) {
    throw invalid('expected redis://, rediss://, redis+sentinel:// or redis+cluster:// with a host');
  }
  const credentials = readCredentials(userInfo);
  const parameters = new URLSearchParams(query);
  const servers = hosts.split(',');
  const label = `${scheme}://${hosts}${scheme === 'redis+sentinel' ? `/${path ?? ''}` : ''}`;

  if (scheme === 'redis+cluster') {
    allowParameters(parameters, []);
    if (path) throw invalid('a cluster has no databases; expected nothing after the hosts');
    return { kind: 'cluster', label, ...credentials, nodes: servers.map((server) => hostPort(server, 6379)) };
  }
  if (scheme === 'redis+sentinel') {
    allowParameters(parameters, ['db', 'sentinelUser', 'sentinelPassword']);
    if (!path) throw invalid('expected the name of the service after the sentinels, such as /mymaster');
    return {
      kind: 'sentinel',
      label,
      ...credentials,
      sentinels: servers.map((server) => hostPort(server, 26379)),
      service: decode(path),
      db: database(parameters.get('db')),
      sentinelAuth: {
        username: parameters.get('sentinelUser') ?? undefined,
        password: parameters.get('sentinelPassword') ?? undefined,
      },
    };
  }
  allowParameters(parameters, ['db']);
  if (servers.length > 1)
    throw invalid('expected one host; several need redis+sentinel:// or redis+cluster://');
  return {
    kind: 'single',
    label,
    ...credentials,
    server: hostPort(hosts, 6379),
    db: database(path || parameters.get('db')),
    tls: scheme === 'rediss',
  };
}

function readCredentials(userInfo: string | undefined): Credentials {
  if (userInfo === undefined) return { username: undefined, password: undefined };
  const colon = userInfo.indexOf(':');
  if (colon < 0) return { username: decode(userInfo) || undefined, password: undefined };
  return {
    username: decode(userInfo.slice(0, colon)) || undefined,
    password: decode(userInfo.slice(colon + 1)) || undefined,
  };
}

function hostPort(text: string, defaultPort: number): HostPort {
  const [, ipv6, host, portText] = HOST_PORT.exec(text) ?? [];
  const name = ipv6 ?? host;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (name === undefined || port < 1 || port > 65_535) {
    throw invalid('expected HOST:PORT, with an IPv6 address in brackets');
  }
  return { host: name, port };
}

function database(text: string | null | undefined): number {
  if (text === null || text === undefined || text === '') return 0;
  if (!/^\d{1,5}$/.test(text)) throw invalid('expected a number as the database');
  return Number(text);
}

function allowParameters(parameters: URLSearchParams, allowed: readonly string[]): void {
  for (const name of parameters.keys()) {
    if (!allowed.includes(name)) throw invalid(`unknown parameter ${JSON.stringify(name)}`);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // The original error repeats its input, which may be the password.
    throw invalid('a percent sign must be followed by two hexadecimal digits');
  }
}

function invalid(what: string): StickshiftError {
  return new StickshiftError('CONFIG_INVALID', `store.url: ${what}`);
}
