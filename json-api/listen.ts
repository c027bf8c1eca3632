import type { AddressInfo, Server } from 'node:net';
import { splitAddress } from '../config/listen-address.ts';
import { StickshiftError } from '../protocol/errors.ts';

/** A port that takes more rights, an address that is not this machine's, a name that nobody knows. */
const NOT_TO_BE_HAD: ReadonlySet<string> = new Set(['EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * Has a server listen at `host:port`; resolves with the address it got, whose port is another one than asked for where that
 * was 0. An IPv6 host stands in brackets.
 *
 * @param option - the configuration key that names the address, for the error
 * @param sharing.reusePort - servers of several threads listen there, and each gets its share of the
 * connections
 * @throws StickshiftError `PORT_IN_USE`; `CONFIG_INVALID` where nobody can listen, or ports cannot be shared
 */
export function listen(
  server: Server,
  address: string,
  option: string,
  { reusePort = false } = {},
): Promise<string> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      if (reusePort && error.code === 'ENOTSUP') {
        const reason = 'threads cannot share a port on this system; set gateway.workers to 1';
        return reject(new StickshiftError('CONFIG_INVALID', reason, { cause: error }));
      }
      if (NOT_TO_BE_HAD.has(error.code ?? '')) {
        const reason = `nobody may listen at ${address} here (${error.code}); set ${option} to another address`;
        return reject(new StickshiftError('CONFIG_INVALID', reason, { cause: error }));
      }
      if (error.code !== 'EADDRINUSE') return reject(error);
      const message = `${address} is in use; set ${option} to another address`;
      reject(new StickshiftError('PORT_IN_USE', message, { cause: error }));
    };
    server.once('error', onError);
    server.listen({ port, host, reusePort }, () => {
      server.off('error', onError);
      const bound = (server.address() as AddressInfo).port;
      resolve(`${host.includes(':') ? `[${host}]` : host}:${bound}`);
    });
  });
}
