import { type ClientAnswer, type ClientOptions, KeepAliveClient } from './keep-alive-client.ts';

const COOKIE = /^set-cookie: ([^=;]+)=([^;]*)/gim;

/** A client with a session of the app, that keeps whatever cookies a proxy gives it, on one connection at a time. */
export class BoundClient {
  readonly #port: number;
  readonly #options: ClientOptions;
  readonly #cookies = new Map<string, string>();
  #connection: KeepAliveClient | undefined;
  #request = '';
  #lastRequest = '';

  constructor(port: number, sessionId: string, options: ClientOptions = {}) {
    this.#port = port;
    this.#options = options;
    this.#cookies.set('sid', sessionId);
    this.#prepare();
  }

  /** Value of its Cookie header. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  get connected(): boolean {
    return this.#connection !== undefined && !this.#connection.broken;
  }

  /** Sends until it has all cookies that it will get; resolves with the `Server-Id` of each answer. */
  async bind(): Promise<string[]> {
    const servers: string[] = [];
    // The first answer sets a cookie; with the second one, everything that a client may have yet to learn is said.
    for (let turn = 0; turn < 4; turn++) {
      const { status, head } = await this.send();
      if (status !== 200) throw new Error(`port ${this.#port} answered ${status || 'nothing'}`);
      servers.push(/^server-id: (.*)$/im.exec(head)?.[1]?.trim() ?? '');
      for (const [, name, value] of head.matchAll(COOKIE)) {
        if (name !== undefined && value !== undefined) this.#cookies.set(name, value);
      }
      this.#prepare();
    }
    return servers;
  }

  /** Connects when there is no connection. */
  send(): Promise<ClientAnswer> {
    if (!this.#connection || this.#connection.broken) {
      this.#connection = new KeepAliveClient(this.#port, this.#options);
    }
    return this.#connection.send(this.#request);
  }

  /** On a connection of its own, which the proxy closes. */
  async sendOnce(localAddress: string): Promise<ClientAnswer> {
    const connection = new KeepAliveClient(this.#port, { ...this.#options, localAddress });
    const answer = await connection.send(this.#lastRequest);
    connection.close();
    return answer;
  }

  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #prepare(): void {
    this.#request = getRequest('/cart', this.cookie);
    this.#lastRequest = getRequest('/cart', this.cookie, 'Connection: close\r\n');
  }
}

export function getRequest(path: string, cookie: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: ${cookie}\r\n${more}\r\n`;
}
