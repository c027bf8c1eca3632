import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { StickshiftError } from '../../../protocol/errors.ts';
import { type LinkAddress, parseLinkAddress } from '../../express-client/link-address.ts';

/** Connections at once: the app's, its next one, and a few that have yet to say who they are. */
const MAX_CONNECTIONS = 16;

/**
 * Reads where to listen and what that needs.
 * Throws `CONFIG_INVALID` when it is no address, or is reachable over TCP without a token.
 */
export function linkAddress(listen: string, token: string): LinkAddress {
  let address: LinkAddress;
  try {
    address = parseLinkAddress(listen);
  } catch (error) {
    throw new StickshiftError('CONFIG_INVALID', `listen of the express source: ${(error as Error).message}`);
  }
  if ('host' in address && token === '') {
    throw new StickshiftError('CONFIG_INVALID', `the express source listens on ${listen} and has no token`);
  }
  return address;
}

/** Listens for apps. A socket file that a killed agent has left is replaced; one that is in use is `PORT_IN_USE`. */
export async function listenForApps(
  address: LinkAddress,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 }, onSocket);
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await listen(server, address);
  } catch (error) {
    if (!isInUse(error)) throw error;
    if (!('path' in address) || !(await isStale(address.path))) {
      const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
      throw new StickshiftError('PORT_IN_USE', `another process listens on ${where}`, { cause: error });
    }
    await unlink(address.path);
    await listen(server, address);
  }
  // The app may run as another user of the same group; nobody else can connect, or read what passes.
  if ('path' in address) await chmod(address.path, 0o660);
  return server;
}

/**
 * Tells whether an app may connect. Over a Unix socket the file's permissions decide, unless the app sends a token
 * all the same.
 */
export function isTokenGood(address: LinkAddress, expected: string, given: string | undefined): boolean {
  if (given === undefined) return 'path' in address;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected), digest(given));
}

async function listen(server: Server, address: LinkAddress): Promise<void> {
  server.listen(address);
  await once(server, 'listening');
}

function isInUse(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

/** A socket file at which nobody answers. */
async function isStale(path: string): Promise<boolean> {
  // Never remove what is not a socket: the path may be a mistake in the configuration.
  if (!(await lstat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
