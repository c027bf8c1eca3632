import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { AgentToApp, AppToAgent } from '../../session-agent/express-client/app-link.ts';
import { LineSplitter } from '../../session-agent/express-client/line-splitter.ts';
import { eventually } from './eventually.ts';

type Heard<Kind extends AgentToApp['t']> = Extract<AgentToApp, { t: Kind }>;

/** The app's end of an app link, played by a test. */
export class LinkPeer implements Disposable {
  readonly heard: AgentToApp[] = [];
  readonly #socket: Socket;
  closed = false;

  constructor(address: NetConnectOpts) {
    this.#socket = connect(address);
    const lines = new LineSplitter(100_000_000);
    this.#socket.on('data', (chunk: Buffer) => {
      for (const line of lines.push(chunk)) this.heard.push(JSON.parse(line) as AgentToApp);
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Connects, says hello and that it holds `ids`. */
  static async attached(address: NetConnectOpts, ids: string[] = [], token?: string): Promise<LinkPeer> {
    const peer = new LinkPeer(address);
    peer.say({ t: 'hello', version: 1, ...(token === undefined ? {} : { token }) });
    await peer.hears('welcome');
    peer.say({ t: 'have', ids, last: true });
    return peer;
  }

  say(...messages: AppToAgent[]): void {
    this.sayRaw(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
  }

  sayRaw(text: string): void {
    this.#socket.write(text);
  }

  async hears<Kind extends AgentToApp['t']>(kind: Kind, times = 1): Promise<Heard<Kind>> {
    return eventually(`${times} times ${kind}`, () => {
      const found = this.heard.filter((message): message is Heard<Kind> => message.t === kind);
      return found[times - 1];
    });
  }

  async isClosed(): Promise<void> {
    await eventually('the end of the connection', () => this.closed);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
