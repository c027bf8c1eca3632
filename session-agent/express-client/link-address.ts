/** Where an app link is: what `net.connect` and `server.listen` both understand. */
export type LinkAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]/]+)):(\d{1,5})$/;

/**
 * Reads `/run/stickshift.sock` (anything with a slash) or `host:port`.
 * Throws a `TypeError` that says what was expected.
 */
export function parseLinkAddress(text: string): LinkAddress {
  if (text.includes('/')) return { path: text };
  const match = HOST_AND_PORT.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new TypeError(
      `expected the path of a Unix socket, such as /run/stickshift.sock, or host:port, not ${JSON.stringify(text)}`,
    );
  }
  return { host, port };
}
