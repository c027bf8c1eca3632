import type { IncomingHttpHeaders } from 'node:http';
import { parseSetCookie } from 'cookie';
import type { SessionIdRule } from '../../config/schema.ts';
import { cookieValueAt, nextCookie } from '../cookies/cookie-header.ts';
import { type SessionIdFormat, type SessionIdRefusal, sessionIdFormat } from './session-id-format.ts';
import { pathParameter, queryParameter } from './target-parameters.ts';

/** A session ID of a request. */
export interface RequestSessionId {
  readonly id: string;
  readonly where: 'cookie' | 'header' | 'query' | 'path';
  /** The value as the client sent it. */
  readonly raw: string;
}

/** What an answer does to the session ID: sets it, or tells the client to forget it. */
export type ResponseSessionId = { readonly id: string } | { readonly deleted: true };

/** What was no session ID, and requests that named two; plain integers, for metrics. */
export type SessionIdCounts = Record<SessionIdRefusal | 'ambiguous', number>;

/** Reads session IDs by one pool's rule. */
export interface SessionIdReader {
  /**
   * The session ID of a request, from the first place of cookie, header, query and path that has one. Of several cookies or
   * parameters of that name the first counts, as in applications; that there were several is counted.
   *
   * A value that cannot be a session ID (over 512 characters, blanks, control characters, not ASCII) is none.
   *
   * @param target - request target in origin form
   */
  fromRequest(target: string, headers: IncomingHttpHeaders): RequestSessionId | undefined;
  /**
   * What the answer does to the session ID; `undefined` when it leaves it alone.
   *
   * @param now - milliseconds since 1970, default the clock's
   */
  fromResponse(headers: IncomingHttpHeaders, now?: number): ResponseSessionId | undefined;
  readonly counts: Readonly<SessionIdCounts>;
}

export function sessionIdReader(rule: SessionIdRule): SessionIdReader {
  return new RuleReader(rule);
}

class RuleReader implements SessionIdReader {
  readonly counts: SessionIdCounts = { oversized: 0, malformed: 0, ambiguous: 0 };
  readonly #rule: SessionIdRule;
  readonly #header: string | undefined;
  readonly #format: SessionIdFormat;

  constructor(rule: SessionIdRule) {
    this.#rule = rule;
    this.#header = rule.header?.toLowerCase();
    this.#format = sessionIdFormat(rule.format);
  }

  fromRequest(target: string, headers: IncomingHttpHeaders): RequestSessionId | undefined {
    const { cookie, query, pathParameter: path } = this.#rule;
    return (
      (cookie !== undefined && headers.cookie ? this.#fromCookies(headers.cookie, cookie) : undefined) ??
      this.#fromHeader(headers) ??
      (query === undefined ? undefined : this.#fromParameter(queryParameter(target, query), 'query')) ??
      (path === undefined ? undefined : this.#fromParameter(pathParameter(target, path), 'path'))
    );
  }

  #fromCookies(header: string, name: string): RequestSessionId | undefined {
    const at = nextCookie(header, name, 0);
    if (at === -1) return undefined;
    const raw = cookieValueAt(header, at);
    const second = nextCookie(header, name, at);
    if (second !== -1 && cookieValueAt(header, second) !== raw) this.counts.ambiguous += 1;
    return this.#read(raw, 'cookie');
  }

  #fromHeader(headers: IncomingHttpHeaders): RequestSessionId | undefined {
    const raw = this.#header === undefined ? undefined : headers[this.#header];
    return typeof raw === 'string' ? this.#read(raw, 'header') : undefined;
  }

  #fromParameter(
    found: ReturnType<typeof queryParameter>,
    where: 'query' | 'path',
  ): RequestSessionId | undefined {
    if (!found) return undefined;
    if (found.ambiguous) this.counts.ambiguous += 1;
    return this.#read(found.value, where);
  }

  #read(raw: string, where: RequestSessionId['where']): RequestSessionId | undefined {
    const id = this.#idOf(raw);
    return id === undefined ? undefined : { id, where, raw };
  }

  #idOf(raw: string): string | undefined {
    // An empty value is how some applications say that there is no session.
    if (raw === '') return undefined;
    const id = this.#format(raw);
    if (typeof id === 'string') return id;
    this.counts[id.refused] += 1;
    return undefined;
  }

  fromResponse(headers: IncomingHttpHeaders, now = Date.now()): ResponseSessionId | undefined {
    const setCookies = headers['set-cookie'];
    const byCookie =
      this.#rule.cookie !== undefined && setCookies
        ? this.#fromSetCookies(setCookies, this.#rule.cookie, now)
        : undefined;
    return byCookie ?? this.#fromResponseHeader(headers);
  }

  /**
   * The last one counts, as in a browser, except that a deletion does not undo a new ID: applications delete the cookie of an
   * old path beside it.
   */
  #fromSetCookies(lines: readonly string[], name: string, now: number): ResponseSessionId | undefined {
    let found: ResponseSessionId | undefined;
    for (const line of lines) {
      if (!line.startsWith(name)) continue;
      const setCookie = parseSetCookie(line, { decode: (raw) => raw });
      if (setCookie.name !== name) continue;
      const { value = '', maxAge, expires } = setCookie;
      // Max-Age wins over Expires (RFC 6265, 5.3).
      const isOver = maxAge === undefined ? expires !== undefined && expires.getTime() <= now : maxAge <= 0;
      if (value === '' || isOver) {
        found ??= { deleted: true };
        continue;
      }
      const id = this.#idOf(value);
      if (id !== undefined) found = { id };
    }
    return found;
  }

  #fromResponseHeader(headers: IncomingHttpHeaders): ResponseSessionId | undefined {
    const raw = this.#header === undefined ? undefined : headers[this.#header];
    if (typeof raw !== 'string') return undefined;
    if (raw === '') return { deleted: true };
    const id = this.#idOf(raw);
    return id === undefined ? undefined : { id };
  }
}
