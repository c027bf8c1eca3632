import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const PROGRAM = `
  const { createServer } = require('node:http');
  const server = createServer((request, response) => response.end('here'));
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;
/** Beyond this, a connection on the loopback interface is not slow: it is not coming about. */
const CONNECT_MS = 300;

/** An app server that answers until it is frozen, and then not even takes connections: the state of a machine that is gone. */
export class FrozenServer implements AsyncDisposable {
  readonly url: string;
  readonly #port: number;
  readonly #process: ChildProcess;
  readonly #fillers: Socket[] = [];

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<FrozenServer> {
    const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'ignore'] });
    // A test that ends early leaves nothing running, least of all what is frozen and cannot notice.
    const onProcessExit = () => child.kill('SIGKILL');
    process.once('exit', onProcessExit);
    child.once('exit', () => process.off('exit', onProcessExit));
    const [port] = await once(child.stdout, 'data');
    return new FrozenServer(child, Number(port));
  }

  /** Resolves when the kernel, too, takes no more connections for it. */
  async freeze(): Promise<void> {
    this.#process.kill('SIGSTOP');
    for (;;) {
      const socket = connect({ port: this.#port, host: '127.0.0.1' });
      socket.on('error', () => socket.destroy());
      this.#fillers.push(socket);
      const connected = await Promise.race([once(socket, 'connect'), pause(CONNECT_MS)]);
      if (!connected) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#fillers) socket.destroy();
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}
