import type { Pool } from '../backends/pool.ts';
import { isUnder } from './path-prefix.ts';

/**
 * Finds the pool for a request by host and path prefix. The most specific match wins: a named host before any host, then
 * the longest prefix, then the order of the configuration.
 */
export class PoolMatcher {
  readonly #rules: { readonly host: string | undefined; readonly prefix: string; readonly pool: Pool }[];

  constructor(pools: readonly Pool[]) {
    this.#rules = pools
      .flatMap((pool) => {
        const { hosts, paths } = pool.config.match;
        const prefixes = paths.length > 0 ? paths : ['/'];
        const names = hosts.length > 0 ? hosts.map((host) => host.toLowerCase()) : [undefined];
        return names.flatMap((host) => prefixes.map((prefix) => ({ host, prefix, pool })));
      })
      .sort(
        (a, b) =>
          Number(b.host !== undefined) - Number(a.host !== undefined) || b.prefix.length - a.prefix.length,
      );
  }

  /**
   * @param host - Host header, with or without port
   * @param target - request target in origin form
   */
  match(host: string | undefined, target: string): Pool | undefined {
    for (const rule of this.#rules) {
      if (rule.host !== undefined && rule.host !== hostName(host)) continue;
      if (isUnder(rule.prefix, target)) return rule.pool;
    }
    return undefined;
  }
}

function hostName(host: string | undefined): string | undefined {
  return host?.toLowerCase().replace(/:\d*$/, '');
}
