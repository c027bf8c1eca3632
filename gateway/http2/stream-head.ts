import type { IncomingHttpHeaders } from 'node:http';
import type { IncomingHttpHeaders as Http2Headers } from 'node:http2';
import { StickshiftError } from '../../protocol/errors.ts';
import type { ReceivedHead } from '../forwarding/request-check.ts';

/** The head of an HTTP/2 request as the head of the HTTP/1.1 request that it stands for. */
export interface StreamHead extends ReceivedHead {
  readonly method: string;
  readonly url: string;
}

export interface ReceivedStream {
  /** Pseudo header fields among them; duplicates joined or dropped as Node does. */
  readonly headers: Http2Headers;
  /** Names and values in turn, as received. */
  readonly rawHeaders: readonly string[];
  /** No body follows. */
  readonly ended: boolean;
  /** Largest head, bytes. */
  readonly limit: number;
}

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// Of HTTP/1.1 a line, of C a string.
const ENDS_A_LINE = /[\0\r\n]/;
const PSEUDO: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path']);
/** RFC 9113, 8.2.2: each of them frames an HTTP/1.1 message, or is about its connection; here it can only be meant for the backend. */
const OF_A_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
/** What HTTP/1.1 has around a name and a value: `: ` and the line's end. */
const FIELD_OVERHEAD = 4;

/**
 * Brings the head of an HTTP/2 request to the form of HTTP/1.1, and refuses what has none, or more than one. Nothing is left
 * out in silence: whoever reads the result sees what the client said. The request check is still to come.
 *
 * @throws StickshiftError `BAD_REQUEST`, `METHOD_REFUSED`, `HEAD_TOO_LARGE`
 */
export function asHttp1({ headers, rawHeaders, ended, limit }: ReceivedStream): StreamHead {
  const method = headers[':method'] ?? '';
  // Extended CONNECT (RFC 8441) is not offered either: for a WebSocket a client opens a connection of HTTP/1.1.
  if (method === 'CONNECT') throw new StickshiftError('METHOD_REFUSED', 'CONNECT is for forward proxies');
  checkFields(rawHeaders, limit);
  const url = headers[':path'] ?? '';
  // The absolute form, which HTTP/1.1 knows, would name the host once more.
  if (!url.startsWith('/') && url !== '*') refuse(`:path ${quoted(url)}`);
  if (headers[':scheme'] !== 'https') refuse(`:scheme ${quoted(String(headers[':scheme']))}`);
  const host = hostOf(headers);
  const length = headers['content-length'];
  if (ended && length !== undefined && Number(length) !== 0) refuse('Content-Length without a body');

  const asSent: IncomingHttpHeaders = {};
  const raw: string[] = [];
  for (const name in headers) {
    // `te: trailers` is all that gets here of it, and says nothing to a backend that is sent no trailers.
    if (name.startsWith(':') || name === 'host' || name === 'te') continue;
    asSent[name] = headers[name];
  }
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.startsWith(':') || name === 'host' || name === 'te') continue;
    raw.push(name, rawHeaders[index + 1] as string);
  }
  if (host !== undefined) {
    asSent.host = host;
    raw.push('host', host);
  }
  if (!ended && length === undefined) asSent['transfer-encoding'] = 'chunked';
  return { method, url, httpVersion: '1.1', headers: asSent, rawHeaders: raw };
}

function checkFields(rawHeaders: readonly string[], limit: number): void {
  let size = 0;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const value = rawHeaders[index + 1] as string;
    size += name.length + value.length + FIELD_OVERHEAD;
    if (!(name.startsWith(':') ? PSEUDO.has(name) : FIELD_NAME.test(name))) refuse(`field ${quoted(name)}`);
    if (ENDS_A_LINE.test(value)) refuse(`the value of ${name}`);
    if (OF_A_CONNECTION.has(name)) refuse(`field ${name}`);
    if (name === 'te' && value.toLowerCase() !== 'trailers') refuse(`te ${quoted(value)}`);
    if (name === 'host' && ++hosts > 1) refuse('Host is given twice');
  }
  if (size > limit) throw new StickshiftError('HEAD_TOO_LARGE', 'the head exceeds gateway.limits.head');
}

function hostOf(headers: Http2Headers): string | undefined {
  const { ':authority': authority, host } = headers;
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    refuse(`:authority is ${quoted(authority)}, Host is ${quoted(host)}`);
  }
  return authority ?? host;
}

function refuse(what: string): never {
  throw new StickshiftError('BAD_REQUEST', `refused: ${what}`);
}

/** For the log: escaped, so that nobody writes log lines by request, and short. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
