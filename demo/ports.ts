import { createServer } from 'node:net';
import { StickshiftError } from '../protocol/errors.ts';

/*
 * Below every usual range of ephemeral ports: a port that a killed server left stays free for its restart, instead of
 * being taken by some outgoing connection.
 */
const FIRST = 20_000;
const LAST = 32_000;

/** Ports on loopback that nothing listens on right now, all different. */
export async function findPorts(count: number): Promise<number[]> {
  const found: number[] = [];
  const start = FIRST + Math.floor(Math.random() * (LAST - FIRST));
  for (let step = 0; step < LAST - FIRST && found.length < count; step++) {
    const port = FIRST + ((start - FIRST + step) % (LAST - FIRST));
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new StickshiftError('PORT_IN_USE', 'no free ports are left for the demo');
  return found;
}

/** Fails when something listens on `port`; the message names the `option` that chooses another. */
export async function claimPort(port: number, option: string): Promise<void> {
  if (await isFree(port)) return;
  throw new StickshiftError('PORT_IN_USE', `port ${port} is in use; choose another with ${option} <port>`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
