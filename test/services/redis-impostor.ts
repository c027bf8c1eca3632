import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** A server that lets the store in and then answers scripts with whatever the test says. */
export interface RedisImpostor {
  readonly url: string;
  /** Raw bytes that answer the next scripts. */
  answer: string;
  stop(): Promise<void>;
}

const COMMAND = /\*\d+\r\n\$\d+\r\n(\w+)\r\n/g;
/** The key of the script that every connection begins with, and an answer to it that lets operations through. */
const LINEAGE = '\r\nstickshift:lineage\r\n';
const INTRODUCED = '*3\r\n$10\r\nintroduced\r\n$1\r\nt\r\n$1\r\n0\r\n';
const INFO = 'redis_version:7.0.0\r\nrole:master\r\nloading:0\r\n';

export async function startRedisImpostor(answer: string): Promise<RedisImpostor> {
  const impostor = { answer };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The client goes away without a goodbye, as it should.
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      // Only names and keys matter, and only scripts carry arguments that could look like one.
      const commands = [...text.matchAll(COMMAND)];
      for (const [at, { index, 1: name }] of commands.entries()) {
        const introduction = text.slice(index, commands[at + 1]?.index).includes(LINEAGE);
        socket.write(reply(name?.toLowerCase(), introduction ? INTRODUCED : impostor.answer));
      }
    });
  });
  const port = await listen(server);
  return Object.assign(impostor, {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
}

function reply(command: string | undefined, answer: string): string {
  switch (command) {
    case 'hello':
      return "-ERR unknown command 'HELLO'\r\n";
    case 'info':
      return `$${INFO.length}\r\n${INFO}\r\n`;
    case 'eval':
    case 'evalsha':
      return answer;
    default:
      return '+OK\r\n';
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
