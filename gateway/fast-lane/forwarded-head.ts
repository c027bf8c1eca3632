import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHeadReader } from './request-head.ts';

const CONNECTION = 'Connection: keep-alive\r\n';
const END = `${CONNECTION}\r\n`;

/**
 * The head for the backend: the client's own lines, names in lower case, as the full lane sends them.
 *
 * @param reader - has just read `text`
 * @param description - lines about the client
 * @param trusted - what the peer claims of its client goes on
 * @param changed - headers to send in the place of the client's own, or behind them; `cookie` in any case, `undefined` for none
 */
export function forwardedHead(
  reader: RequestHeadReader,
  text: string,
  description: string,
  trusted: boolean,
  changed: IncomingHttpHeaders,
): string {
  const { lines, lineEnd } = reader;
  const { cookie } = changed;
  let head = text.slice(0, lineEnd);
  for (let index = 0; index < lines.count; index++) {
    const { lower, fate, isRead } = lines.name(index);
    if (reader.isCookie(index)) {
      if (cookie !== undefined) head += `cookie: ${cookie}\r\n`;
    } else if (isRead && changed[lower] !== undefined) {
      head += `${lower}: ${changed[lower]}\r\n`;
    } else if (fate === 'drop' || (fate === 'claim' && !trusted)) {
      // Of the connection, or a claim that anybody can make.
    } else if (lines.isPlain(text, index)) {
      head += lower + text.slice((lines.valueStart[index] as number) - 2, lines.end[index]);
    } else {
      head += `${lower}: ${lines.value(text, index)}\r\n`;
    }
  }
  head += description;
  for (const name in changed) {
    const value = changed[name];
    if (name !== 'cookie' && value !== undefined && !reader.has(name)) head += `${name}: ${value}\r\n`;
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
