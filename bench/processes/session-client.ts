import { type ClientAnswer, KeepAliveClient } from './keep-alive-client.ts';
import type { Kind } from './session-load.ts';

const COOKIE = /^set-cookie: ([^=;]+)=([^;]*)/gim;
const METHOD: Readonly<Record<Kind, string>> = {
  read: 'GET /cart HTTP/1.1\r\n',
  write: 'POST /cart HTTP/1.1\r\nContent-Length: 0\r\n',
};

/** A client of the shop: one connection, and the cookies that it has been given. */
export class SessionClient {
  readonly #port: number;
  readonly #cookies = new Map<string, string>();
  #connection: KeepAliveClient | undefined;
  #requests: Readonly<Record<Kind, string>> = requests('');

  constructor(port: number) {
    this.#port = port;
  }

  /** Connects if there is no connection. */
  async send(kind: Kind): Promise<ClientAnswer> {
    if (!this.#connection || this.#connection.broken) this.#connection = new KeepAliveClient(this.#port);
    const answer = await this.#connection.send(this.#requests[kind]);
    this.#keepCookies(answer.head);
    return answer;
  }

  /** Forgets its session. */
  forget(): void {
    this.#cookies.clear();
    this.#requests = requests('');
  }

  /** The session stays, the connection goes. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #keepCookies(head: string): void {
    let changed = false;
    for (const [, name, value] of head.matchAll(COOKIE)) {
      if (name === undefined || value === undefined) continue;
      this.#cookies.set(name, value);
      changed = true;
    }
    if (!changed) return;
    this.#requests = requests([...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '));
  }
}

function requests(cookie: string): Readonly<Record<Kind, string>> {
  const rest = `Host: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\n${cookie && `Cookie: ${cookie}\r\n`}\r\n`;
  return { read: METHOD.read + rest, write: METHOD.write + rest };
}
