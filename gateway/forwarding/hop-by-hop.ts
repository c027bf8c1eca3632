/**
 * Headers of one connection, never passed on (RFC 9110, 7.6.1; RFC 9112, 9.7). Transfer-Encoding is among them: whoever sends
 * the body on frames it anew.
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // Belongs to an upgrade to HTTP/2, which is not served: passed on it opens a tunnel past every check (h2c smuggling).
  'http2-settings',
]);

/** Connection options that need no care: they are no headers, or stripped anyway. */
const HARMLESS_OPTIONS: ReadonlySet<string> = new Set(['close', 'upgrade', ...HOP_BY_HOP]);

/** The lower-cased names of further headers that a Connection header declares hop-by-hop; `undefined` when there are none. */
export function nominatedHeaders(connection: string | undefined): Set<string> | undefined {
  // What nearly every request says.
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  let names: Set<string> | undefined;
  for (const option of connection.split(',')) {
    const name = option.trim().toLowerCase();
    if (name === '' || HARMLESS_OPTIONS.has(name)) continue;
    names ??= new Set();
    names.add(name);
  }
  return names;
}
