import fc from 'fast-check';
import { visibleText } from './octet-streams.ts';

const NAMES = [
  'Host',
  'Cookie',
  'Accept',
  'X-Session',
  'Content-Length',
  'Connection',
  'Keep-Alive',
  'TE',
  'Upgrade',
  'Transfer-Encoding',
  'Proxy',
  'Forwarded',
  'X-Real-IP',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X_Forwarded_For',
  'X-Mine',
  'x-mine',
  '7',
] as const;

const VALUES = [
  '1',
  '0',
  'a=1; sid=abc',
  'keep-alive',
  'close',
  'chunked',
  '192.0.2.7',
  'shop.test',
] as const;

const line = fc
  .tuple(
    fc.oneof(fc.constantFrom(...NAMES), fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,9}$/)),
    fc.constantFrom(': ', ': ', ': ', ':', ':\t', ':  '),
    fc.oneof(fc.constantFrom(...VALUES), visibleText),
    fc.constantFrom('', '', ' ', '\t'),
  )
  .map((parts) => parts.join(''));

/** Heads of which the fast lane takes many, with their empty line. No header is repeated in them. */
export const requestHeads: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'),
    fc.oneof(fc.constantFrom('/', '/cart?a=b'), fc.stringMatching(/^\/[!-~]{0,8}$/)),
    fc.uniqueArray(line, { maxLength: 8, selector: (text) => text.split(':')[0]?.toLowerCase() }),
    fc.constantFrom('Host: shop.test', 'host:shop.test:8080 ', 'HOST: [::1]'),
  )
  .map(([method, target, lines, host]) => {
    const others = lines.filter((text) => !/^host:/i.test(text));
    return `${[`${method} ${target} HTTP/1.1`, host, ...others].join('\r\n')}\r\n\r\n`;
  });
