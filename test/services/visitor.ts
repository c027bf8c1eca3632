import type { RunningGateway } from '../../gateway/gateway.ts';

export interface Visit {
  readonly status: number;
  /** The server that answered; undefined when the gateway did. */
  readonly server: string | undefined;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A browser that keeps every cookie it is given. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Visit> {
    return this.#visit('GET', path, headers);
  }

  post(path: string, headers: Record<string, string> = {}): Promise<Visit> {
    return this.#visit('POST', path, headers);
  }

  /** The session ID inside `s:<id>.<signature>`. */
  get sessionId(): string {
    const value = decodeURIComponent(this.cookies.get('connect.sid') ?? '');
    return value.slice(2, value.lastIndexOf('.'));
  }

  /** The same cookies at another gateway, all of them or those that are named. */
  at(gateway: RunningGateway, names: readonly string[] = [...this.cookies.keys()]): Visitor {
    const visitor = new Visitor(gateway.url);
    for (const name of names) visitor.cookies.set(name, this.cookies.get(name) ?? '');
    return visitor;
  }

  async #visit(method: string, path: string, headers: Record<string, string>): Promise<Visit> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.#url + path, {
      method,
      headers: { accept: 'application/json', ...(cookie && { cookie }), ...headers },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const equals = pair.indexOf('=');
      this.cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      server: response.headers.get('x-server') ?? undefined,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  }
}
