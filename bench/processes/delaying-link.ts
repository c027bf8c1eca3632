import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP link to a port of 127.0.0.1 over which everything arrives later. */
export interface DelayingLink extends AsyncDisposable {
  readonly port: number;
}

/**
 * @param delayMs - how much later bytes arrive at the server; the way back is not delayed, so that a round trip takes so much
 * longer. Timers make a little more of it: measure what a round trip really takes.
 */
export async function startDelayingLink(targetPort: number, delayMs: number): Promise<DelayingLink> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    // Timers of one length fire in the order in which they were set.
    client.on('data', (chunk: Buffer) => setTimeout(() => target.write(chunk), delayMs));
    target.on('data', (chunk: Buffer) => client.write(chunk));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
