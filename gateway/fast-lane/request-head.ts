import type { IncomingHttpHeaders } from 'node:http';
import { CONTENT_LENGTH, HOST, ORIGIN_FORM } from '../forwarding/request-check.ts';
import { type RequestFieldFate, requestFieldFate } from '../forwarding/request-headers.ts';
import type { RequestHead } from '../routing/router.ts';
import { FieldLines } from './field-lines.ts';
import { FieldNames } from './field-names.ts';

/** Others are for the full lane, or nobody's. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** More fields than any ordinary request has. */
const MOST_FIELDS = 128;
const LONGEST_METHOD = 7;
const VERSION = ' HTTP/1.1\r\n';

/** Requests with one of these take the full lane. */
const FOREIGN: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
  // Node takes it for Connection.
  'proxy-connection',
  // Means something else to an object.
  '__proto__',
]);
/** An object puts these first. */
const INDEX = /^\d+$/;

/** `foreign`: the full lane is to see it. */
type FieldFate = RequestFieldFate | 'foreign';

function fateOf(lower: string): FieldFate {
  return FOREIGN.has(lower) || INDEX.test(lower) ? 'foreign' : requestFieldFate(lower);
}

/** What decisions read of every request; a pool's rules and the propagators of trace context add to it. */
const READ = ['host', 'cookie', 'accept'] as const;

/** What was read of a head's fields. */
export interface ReadFields {
  /** The lines themselves, the last CRLF among them. */
  readonly lines: string;
  readonly headers: IncomingHttpHeaders;
  readonly contentLength: number;
  readonly keepAlive: boolean;
}

/**
 * Reads request heads of a narrow grammar, stricter than RFC 9112; whatever does not fit is for the full lane to judge. One object
 * serves a lane: it holds what it read last until it reads the next head.
 */
export class RequestHeadReader implements RequestHead {
  method = '';
  target = '';
  /** Only those that decisions read. */
  headers: IncomingHttpHeaders = {};
  /** Of the body, bytes; -1 when it was not given. */
  contentLength = -1;
  /** The client wants to send more on this connection. */
  keepAlive = true;
  /** Behind the CRLF of the request line. */
  lineEnd = 0;
  /** The fields are those that {@link read} was given; `lines` are of some other head. */
  isRepeated = false;
  readonly lines: FieldLines<FieldFate>;
  readonly #host;
  readonly #cookie;
  readonly #accept;
  readonly #connection;
  readonly #contentLength;
  #heads = 0;

  /** @param alsoRead - lower-cased names of further headers that decisions read */
  constructor(alsoRead: Iterable<string>) {
    const read = new Set<string>([...READ, ...alsoRead]);
    const framing = ['host', 'connection', 'content-length', ...FOREIGN];
    const names = new FieldNames([...framing, ...read], fateOf, (name) => read.has(name));
    this.lines = new FieldLines(names, MOST_FIELDS);
    this.#host = names.of('host');
    this.#cookie = names.of('cookie');
    this.#accept = names.of('accept');
    this.#connection = names.of('connection');
    this.#contentLength = names.of('content-length');
  }

  /**
   * @param text - begins with the head, one character per octet
   * @param end - where its last CRLF CRLF begins
   * @param last - read before: where the fields are the same, octet for octet, they are not read again
   * @returns false when it is not for this lane
   */
  read(text: string, end: number, last?: ReadFields): boolean {
    this.isRepeated = false;
    if (!this.#readLine(text, end)) return false;
    if (!last || text.slice(this.lineEnd, end + 2) !== last.lines) return this.#readFields(text, end);
    this.headers = last.headers;
    this.contentLength = last.contentLength;
    this.keepAlive = last.keepAlive;
    this.isRepeated = true;
    return true;
  }

  /** What was read last. */
  fields(text: string, end: number): ReadFields {
    const { headers, contentLength, keepAlive, lineEnd } = this;
    return { lines: text.slice(lineEnd, end + 2), headers, contentLength, keepAlive };
  }

  #readFields(text: string, end: number): boolean {
    const { lines } = this;
    if (!lines.read(text, this.lineEnd, end + 2)) return false;
    this.contentLength = -1;
    this.keepAlive = true;
    const headers: IncomingHttpHeaders = { host: undefined, cookie: undefined, accept: undefined };
    const head = ++this.#heads;
    for (let index = 0; index < lines.count; index++) {
      const name = lines.name(index);
      // Two of a name: how they are to be joined depends on which it is.
      if (name.seenIn === head) return false;
      name.seenIn = head;
      // By name, where it is known: a key that is computed costs more than the rest of the loop.
      if (name === this.#host) headers.host = lines.value(text, index);
      else if (name === this.#cookie) headers.cookie = lines.value(text, index);
      else if (name === this.#accept) headers.accept = lines.value(text, index);
      else if (name.isRead) headers[name.lower] = lines.value(text, index);
      else if (name === this.#contentLength) {
        const length = lines.value(text, index);
        if (!CONTENT_LENGTH.test(length)) return false;
        this.contentLength = Number(length);
      } else if (name === this.#connection) {
        const option = lines.value(text, index).toLowerCase();
        if (option === 'close') this.keepAlive = false;
        else if (option !== 'keep-alive') return false;
      } else if (name.fate === 'foreign') return false;
    }
    if (headers.host === undefined || !HOST.test(headers.host)) return false;
    this.headers = headers;
    return true;
  }

  /** Whether the line that was read last is the Cookie header. */
  isCookie(index: number): boolean {
    return this.lines.name(index) === this.#cookie;
  }

  /** Whether the head that was read last has a header of that lower-cased name. */
  has(lower: string): boolean {
    return this.lines.has(lower, this.#heads);
  }

  #readLine(text: string, end: number): boolean {
    const space = text.indexOf(' ');
    if (space < 1 || space > LONGEST_METHOD) return false;
    const lineEnd = text.indexOf('\r\n');
    const targetEnd = lineEnd + 2 - VERSION.length;
    if (lineEnd > end || targetEnd <= space || !text.startsWith(VERSION, targetEnd)) return false;
    const method = text.slice(0, space);
    const target = text.slice(space + 1, targetEnd);
    if (!METHODS.has(method) || !ORIGIN_FORM.test(target)) return false;
    this.method = method;
    this.target = target;
    this.lineEnd = lineEnd + 2;
    return true;
  }
}
