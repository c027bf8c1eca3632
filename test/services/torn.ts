import type { Socket } from 'node:net';

/** The pieces of `bytes` between the given positions, in order; positions at the ends or beyond cut nothing. */
export function tear(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const inside = [...new Set(cuts)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
  const ends = [...inside, bytes.length];
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/**
 * Writes each piece so that a reader in this process gets it by a read of its own: it is handed to the kernel, and then the event
 * loop has polled its sockets once more. The socket must have `noDelay`. Stops when the socket does.
 */
export async function sendTorn(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of pieces) {
    if (socket.destroyed || !socket.writable) return;
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
    // The first turn may still be of the iteration that wrote; the poll is before the second.
    await turn();
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
