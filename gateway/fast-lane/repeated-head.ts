import type { IncomingHttpHeaders } from 'node:http';
import type { ReadFields } from './request-head.ts';

/**
 * All of a head but its request line, as a connection has sent it last, and how it was sent on. Clients repeat it, octet for octet,
 * as long as no cookie changes; what is known of it then need not be read, looked up and put together again.
 */
export class RepeatedHead {
  readonly fields: ReadFields;
  #method = '';
  #description = '';
  #cookie: string | undefined;
  #forwarded: string | undefined;

  constructor(fields: ReadFields) {
    this.fields = fields;
  }

  /**
   * What follows the request line for a backend; `undefined` when it was not sent on like this last time.
   *
   * @param changed - as {@link forwardedHead} takes it
   */
  forwarded(method: string, description: string, changed: IncomingHttpHeaders): string | undefined {
    if (method !== this.#method || description !== this.#description) return undefined;
    return changed.cookie === this.#cookie && isCookieOnly(changed) ? this.#forwarded : undefined;
  }

  /** @param forwarded - what follows the request line */
  note(method: string, description: string, changed: IncomingHttpHeaders, forwarded: string): void {
    if (!isCookieOnly(changed)) return;
    this.#method = method;
    this.#description = description;
    this.#cookie = changed.cookie;
    this.#forwarded = forwarded;
  }
}

/** Nothing of a trace or a trusted proxy, which is another one each time. */
function isCookieOnly(changed: IncomingHttpHeaders): boolean {
  for (const name in changed) if (name !== 'cookie') return false;
  return true;
}
