import type { IncomingHttpHeaders } from 'node:http';
import { StickshiftError } from '../../protocol/errors.ts';
import { isClientClaim } from './client-claims.ts';
import { nominatedHeaders } from './hop-by-hop.ts';

/** A request head as a parser leaves it; `http.IncomingMessage` is one. */
export interface ReceivedHead {
  readonly method?: string | undefined;
  /** The request target as received. */
  readonly url?: string | undefined;
  /** `1.1` or `1.0`. */
  readonly httpVersion: string;
  /** Lower-cased names; duplicates joined or dropped as Node does. */
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as received. */
  readonly rawHeaders: readonly string[];
}

/** A request head that may be routed and forwarded. */
export interface CheckedHead {
  readonly method: string;
  /** Origin form, or `*` for OPTIONS. This is what goes to the backend, not the `url` as received. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

// Visible ASCII without `#`: a fragment never leaves a client, and servers disagree on what raw bytes beyond ASCII mean.
export const ORIGIN_FORM = /^\/[\x21\x22\x24-\x7e]*$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/is;
// A registered name or an IP literal, and a port. Stricter than RFC 3986: what it would allow beyond this is no host name.
export const HOST = /^(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;
export const CONTENT_LENGTH = /^\d{1,15}$/;

/** Naming one of these in Connection asks us to strip it: nobody does that but to make gateway and backend see two requests. */
const NEVER_NOMINATED: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'cookie',
  'authorization',
  'origin',
  'referer',
  'range',
  'cache-control',
  'expect',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'traceparent',
  'tracestate',
]);

/**
 * Admits a request head, after its parser: refuses what two parties could read in two ways, and brings the target to origin
 * form. Some of it Node's parser refuses as well; that is no reason to depend on it.
 *
 * An absolute-form target is accepted, as RFC 9112, 3.2.2 demands of every server, when it names the host that the Host header
 * names; a client that sends two different ones wants us and the backend to disagree.
 *
 * @throws StickshiftError `BAD_REQUEST`, `METHOD_REFUSED`
 */
export function checkRequest(received: ReceivedHead): CheckedHead {
  const { method = '', url = '', httpVersion, headers, rawHeaders } = received;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') refuse(`HTTP version ${quoted(httpVersion)}`);
  // CONNECT is for forward proxies; TRACE would echo cookies that scripts must not see; SOURCE is ICE, which Node's parser
  // takes for HTTP.
  if (method === 'CONNECT' || method === 'TRACE' || method === 'SOURCE') {
    throw new StickshiftError('METHOD_REFUSED', `method ${method}`);
  }
  checkHost(headers.host, httpVersion);
  checkSingle(rawHeaders);
  checkFraming(headers, httpVersion);
  if (headers.connection !== undefined) checkConnection(headers.connection);
  const target = originForm(method, url, headers.host);
  return { method, target, headers };
}

function checkHost(host: string | undefined, httpVersion: string): void {
  if (host === undefined) {
    // HTTP/1.0 knows no Host header, and simple health checks still speak it.
    if (httpVersion === '1.1') refuse('Host is missing');
  } else if (!HOST.test(host)) {
    refuse(`Host ${quoted(host)}`);
  }
}

/** Of these Node keeps the first and drops the rest: only the raw headers tell. Equal duplicates are refused as well. */
function checkSingle(rawHeaders: readonly string[]): void {
  let hosts = 0;
  let lengths = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    // Most names are told apart by their length alone.
    if (name.length === 4) {
      if (name.toLowerCase() === 'host') hosts++;
    } else if (name.length === 14) {
      if (name.toLowerCase() === 'content-length') lengths++;
    }
  }
  if (hosts > 1) refuse('Host is given twice');
  if (lengths > 1) refuse('Content-Length is given twice');
}

function checkFraming(headers: IncomingHttpHeaders, httpVersion: string): void {
  const length = headers['content-length'];
  const encoding = headers['transfer-encoding'];
  if (length !== undefined && !CONTENT_LENGTH.test(length)) refuse(`Content-Length ${quoted(length)}`);
  if (encoding === undefined) return;
  if (length !== undefined) refuse('both Transfer-Encoding and Content-Length');
  if (httpVersion === '1.0') refuse('Transfer-Encoding in HTTP/1.0');
  if (encoding.toLowerCase() !== 'chunked') refuse(`Transfer-Encoding ${quoted(encoding)}`);
}

/**
 * Refused rather than ignored: with the header stripped the backend would miss what we routed by or a proxy in front vouched
 * for; with the option ignored we would forward something else than the client declared. No honest client gets here.
 */
function checkConnection(connection: string): void {
  const nominated = nominatedHeaders(connection);
  if (!nominated) return;
  for (const name of nominated) {
    if (NEVER_NOMINATED.has(name) || isClientClaim(name)) refuse(`Connection names ${name}`);
  }
}

function originForm(method: string, url: string, host: string | undefined): string {
  if (ORIGIN_FORM.test(url)) return url;
  if (url === '*') {
    if (method !== 'OPTIONS') refuse(`target * with method ${quoted(method)}`);
    return url;
  }
  const absolute = ABSOLUTE_FORM.exec(url);
  if (!absolute) return refuse(`target ${quoted(url)}`);
  const [, authority = '', rest = ''] = absolute;
  if (authority.toLowerCase() !== host?.toLowerCase()) {
    refuse(`target names host ${quoted(authority)}, Host is ${quoted(host ?? '')}`);
  }
  // RFC 9112, 3.2.4: without a path, OPTIONS is about the server as a whole.
  if (rest === '' && method === 'OPTIONS') return '*';
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  if (!ORIGIN_FORM.test(target)) refuse(`target ${quoted(url)}`);
  return target;
}

function refuse(what: string): never {
  throw new StickshiftError('BAD_REQUEST', `refused: ${what}`);
}

/** For the log: escaped, so that nobody writes log lines by request, and short. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
