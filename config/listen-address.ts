/** Splits `host:port`; an IPv6 host stands in brackets, and comes out without them. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** True when only this machine can reach the host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Where a program on this machine reaches what listens there: a wildcard address is no destination. */
export function localUrl(address: string, scheme: 'http' | 'https' = 'http'): string {
  const { host, port } = splitAddress(address);
  const destination = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${destination.includes(':') ? `[${destination}]` : destination}:${port}`;
}
