import type { Pool } from '../installation/layout.ts';

const SESSION_COOKIE: Readonly<Record<Pool, string>> = { express: 'connect.sid', php: 'PHPSESSID' };

/** Cookies as a browser keeps them for one application. */
export class CookieJar {
  readonly #pool: Pool;
  readonly #cookies: Map<string, string>;

  constructor(pool: Pool, cookies: ReadonlyMap<string, string> = new Map()) {
    this.#pool = pool;
    this.#cookies = new Map(cookies);
  }

  /** The Cookie header; undefined when there is nothing to send. */
  get header(): string | undefined {
    const pairs = [...this.#cookies].map(([name, value]) => `${name}=${value}`);
    return pairs.length === 0 ? undefined : pairs.join('; ');
  }

  get sessionId(): string | undefined {
    const value = this.#cookies.get(SESSION_COOKIE[this.#pool]);
    if (value === undefined || this.#pool === 'php') return value;
    const decoded = decodeURIComponent(value);
    return decoded.slice('s:'.length, decoded.lastIndexOf('.'));
  }

  take(setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const [pair = '', ...attributes] = line.split(';');
      const equals = pair.indexOf('=');
      const name = pair.slice(0, equals);
      const value = pair.slice(equals + 1);
      const isRemoval =
        value === '' || value === 'deleted' || attributes.some((one) => /^\s*max-age=0$/i.test(one));
      if (isRemoval) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
  }

  copy(): CookieJar {
    return new CookieJar(this.#pool, this.#cookies);
  }

  /** The session cookie alone, as somebody has it who has seen no more. */
  withoutAffinity(): CookieJar {
    const name = SESSION_COOKIE[this.#pool];
    return new CookieJar(this.#pool, new Map([...this.#cookies].filter(([one]) => one === name)));
  }
}
