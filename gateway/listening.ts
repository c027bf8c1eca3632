import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StickshiftError } from '../protocol/errors.ts';

/** Splits `host:port`; an IPv6 host stands in brackets. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** True when only this machine can reach the host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/**
 * Resolves with the port that was got.
 *
 * @param option - the configuration key that names the address, for the error
 * @throws StickshiftError `PORT_IN_USE`
 */
export function listen(server: Server, address: string, option: string): Promise<number> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(
        new StickshiftError('PORT_IN_USE', `${address} is in use; set ${option} to another address`, {
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
