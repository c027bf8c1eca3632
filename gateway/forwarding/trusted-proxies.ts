import { BlockList, isIP } from 'node:net';
import { StickshiftError } from '../../protocol/errors.ts';
import { detached, RecentMap } from '../memory/recent-map.ts';

/** Hops of an X-Forwarded-For that are looked at: no real chain is longer. */
const MAX_HOPS = 32;
const REMEMBERED_ADDRESSES = 4096;
const MAPPED_IPV4 = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** Tells whether an address belongs to a proxy whose X-Forwarded-* headers are believed. */
export type TrustedProxies = (address: string) => boolean;

/**
 * @param list - IPv4 and IPv6 addresses and CIDR ranges; an IPv4 range also holds its IPv4-mapped IPv6 addresses
 * @throws StickshiftError `CONFIG_INVALID` naming the entry
 */
export function createTrustedProxies(list: readonly string[]): TrustedProxies {
  if (list.length === 0) return () => false;
  const ranges = new BlockList();
  for (const entry of list) addRange(ranges, entry);
  // A check builds an address object; a proxy in front sends from a handful of addresses.
  const known = new RecentMap<string, boolean>(REMEMBERED_ADDRESSES);
  return (address) => {
    let trusted = known.get(address);
    if (trusted === undefined) {
      const plain = plainAddress(address);
      const version = isIP(plain);
      trusted = version !== 0 && ranges.check(plain, version === 4 ? 'ipv4' : 'ipv6');
      known.set(detached(address), trusted);
    }
    return trusted;
  };
}

function addRange(ranges: BlockList, entry: string): void {
  const [address = '', prefix, ...rest] = entry.split('/');
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(length <= bits)) {
    throw new StickshiftError(
      'CONFIG_INVALID',
      `gateway.trustedProxies: ${JSON.stringify(entry)} is neither an address nor a CIDR range such as 10.0.0.0/8`,
    );
  }
  ranges.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
}

/** An IPv4-mapped IPv6 address as IPv4; any other as it is. Sockets that listen on `::` report IPv4 peers in the mapped form. */
export function plainAddress(address: string): string {
  // Every connection passes here, and most addresses are plain.
  if (!address.startsWith('::')) return address;
  return MAPPED_IPV4.exec(address)?.[1] ?? address;
}

/**
 * The client's address: from the peer leftwards through X-Forwarded-For, as far as each hop was reported by a trusted proxy.
 * What stands further left could have been written by anybody.
 *
 * @param peer - of the connection
 * @param forwardedFor - the X-Forwarded-For header
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  trusted: TrustedProxies,
): string {
  let address = plainAddress(peer);
  if (forwardedFor === undefined) return address;
  let end = forwardedFor.length;
  for (let hop = 0; hop < MAX_HOPS && end > 0 && trusted(address); hop++) {
    const comma = forwardedFor.lastIndexOf(',', end - 1);
    const reported = hopAddress(forwardedFor.slice(comma + 1, end).trim());
    if (reported === undefined) return address;
    address = reported;
    end = comma;
  }
  return address;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711` as a plain address; anything else is nobody's. */
function hopAddress(text: string): string | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  const bare = bracketed ?? (/^[\d.]+:\d+$/.test(text) ? text.slice(0, text.indexOf(':')) : text);
  return isIP(bare) === 0 ? undefined : plainAddress(bare);
}
