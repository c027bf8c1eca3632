import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHeadReader } from './request-head.ts';

const CONNECTION = 'Connection: keep-alive\r\n';
const END = `${CONNECTION}\r\n`;

/**
 * The head for the backend: the client's own lines, names in lower case, as the full lane sends them.
 *
 * @param reader - has just read `text`
 * @param forwarded - the values to send of headers that decisions read, by lower-cased name; those that the client did not send
 *   come last. `undefined`: not to be sent
 * @param trusted - the peer's claims about its client are passed on
 * @param description - lines about the client, beside what `forwarded` says of it
 */
export function forwardedHead(
  reader: RequestHeadReader,
  text: string,
  forwarded: IncomingHttpHeaders,
  trusted: boolean,
  description: string,
): string {
  const { lines, lineEnd } = reader;
  let head = text.slice(0, lineEnd);
  for (let index = 0; index < lines.count; index++) {
    const { lower, fate, isRead } = lines.name(index);
    if (fate === 'drop' || (fate === 'claim' && !trusted)) continue;
    if (isRead && lower in forwarded) {
      const value = forwarded[lower];
      if (value !== undefined) head += `${lower}: ${value}\r\n`;
    } else if (lines.isPlain(text, index)) {
      head += lower + text.slice((lines.valueStart[index] as number) - 2, lines.end[index]);
    } else {
      head += `${lower}: ${lines.value(text, index)}\r\n`;
    }
  }
  head += description;
  for (const name in forwarded) {
    const value = forwarded[name];
    if (value !== undefined && !reader.has(name)) head += `${name}: ${value}\r\n`;
  }
  return head + (reader.contentLength === -1 ? withoutLength(reader.method) : END);
}

/** Where a method lets expect a body, somebody has to say that there is none. As Node and http-proxy-3 say it in the full lane. */
function withoutLength(method: string): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return END;
    case 'DELETE':
    case 'OPTIONS':
      return `content-length: 0\r\n${END}`;
    default:
      return `${CONNECTION}Content-Length: 0\r\n\r\n`;
  }
}
