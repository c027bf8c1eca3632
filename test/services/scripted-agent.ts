import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentToApp, AppToAgent } from '../../session-agent/express-client/app-link.ts';
import { LineSplitter } from '../../session-agent/express-client/line-splitter.ts';
import { eventually } from './eventually.ts';

type Heard<Kind extends AppToAgent['t']> = Extract<AppToAgent, { t: Kind }>;

/** The agent's end of an app link, played by a test: says what it is told to, and writes down what it hears. */
export class ScriptedAgent implements AsyncDisposable {
  readonly path: string;
  readonly heard: AppToAgent[] = [];
  /** Called for each line; the default greets the app and says `ok` to what it sets, destroys and replaces. */
  answer: (message: AppToAgent) => AgentToApp | undefined = agreeable;
  readonly #directory: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  connections = 0;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, 'agent.sock');
  }

  /** An agent that does not listen yet. */
  static async make(): Promise<ScriptedAgent> {
    return new ScriptedAgent(await mkdtemp(join(tmpdir(), 'stickshift-agent-')));
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
  }

  /** As if the process had been killed. */
  async die(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.hangUp();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  say(message: AgentToApp): void {
    this.sayRaw(`${JSON.stringify(message)}\n`);
  }

  sayRaw(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  all<Kind extends AppToAgent['t']>(kind: Kind): Heard<Kind>[] {
    return this.heard.filter((message): message is Heard<Kind> => message.t === kind);
  }

  /** Waits until so many messages of the kind have come, and returns the last of them. */
  async hears<Kind extends AppToAgent['t']>(kind: Kind, times = 1): Promise<Heard<Kind>> {
    return eventually(`${times} times ${kind}`, () => this.all(kind)[times - 1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.die();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    const lines = new LineSplitter(1_000_000);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      for (const line of lines.push(chunk)) {
        const message = JSON.parse(line) as AppToAgent;
        this.heard.push(message);
        const answer = this.answer(message);
        if (answer) socket.write(`${JSON.stringify(answer)}\n`);
      }
    });
  }
}

export function agreeable(message: AppToAgent): AgentToApp | undefined {
  if (message.t === 'hello') return { t: 'welcome', version: 1, backend: 'app-1' };
  if (message.t === 'set' || message.t === 'destroy' || message.t === 'replace') {
    return { t: 'ok', n: message.n };
  }
  return undefined;
}
