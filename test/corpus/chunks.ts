import { type HostileRequest, head, smuggledRequest } from './hostile-request.ts';

const chunked = (body: string, method = 'POST') =>
  head(`${method} /here HTTP/1.1`, 'Host: app.test', 'Transfer-Encoding: chunked') + body;

/** Chunked bodies: RFC 9112, 7.1. A refusal may come after the head went on; the app server's request is then cut off. */
export const CHUNKS: readonly HostileRequest[] = [
  {
    name: 'a chunk extension',
    raw: chunked('5;name=value\r\nhello\r\n0\r\n\r\n'),
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'a quoted chunk extension',
    raw: chunked('5;name="a;b"\r\nhello\r\n0;last\r\n\r\n'),
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'a bare LF in a chunk extension (TERM.EXT)',
    raw: chunked(`5;a\nhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
    why: 'some servers end the line there and others do not',
  },
  {
    name: 'a bare CR in a chunk extension',
    raw: chunked(`5;a\rb\r\nhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a chunk extension without end',
    raw: chunked(`5;${'e'.repeat(40_000)}\r\nhello\r\n0\r\n\r\n`),
    refused: [400, 413, 431],
    why: 'unlimited extensions are a way to send without being counted',
  },
  ...[
    '5g',
    '-5',
    '+5',
    '0x5',
    ' 5',
    '',
    '5 5',
    '5_0',
    'FFFFFFFFFFFFFFFFF',
    '10000000000000005',
    '\x0b5',
    '5\x00',
  ].map((size) => ({
    name: `a chunk of size ${JSON.stringify(size)}`,
    raw: chunked(`${size}\r\nhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400, 413],
  })),
  {
    name: 'a chunk size with a trailing space',
    raw: chunked('5 \r\nhello\r\n0\r\n\r\n'),
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'a chunk size with leading zeros',
    raw: chunked('0000005\r\nhello\r\n0\r\n\r\n'),
    forwarded: [{ body: 'hello' }],
    refused: [400],
  },
  {
    name: 'a chunk longer than it says',
    raw: chunked(`3\r\nhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a chunk not followed by CRLF',
    raw: chunked(`5\r\nhelloXX0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a chunk followed by a bare LF',
    raw: chunked(`5\r\nhello\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a chunk size line that ends in a bare LF',
    raw: chunked(`5\nhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a chunk size line that ends in a bare CR',
    raw: chunked(`5\rhello\r\n0\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
  {
    name: 'a last chunk whose lines end in bare LFs',
    raw: chunked(`5\r\nhello\r\n0\n\n${smuggledRequest}`),
    refused: [400],
  },
  ...['DELETE', 'OPTIONS', 'GET', 'PATCH'].map((method) => ({
    name: `a chunked ${method}`,
    raw: chunked('5\r\nhello\r\n0\r\n\r\n', method),
    forwarded: [{ method, target: '/here', body: 'hello' }],
    refused: [400, 411],
    why: 'a proxy library once sent these on with Content-Length: 0 and the chunks behind it (CVE-2026-29057)',
  })),
  {
    name: 'a request hidden in the chunks of a DELETE',
    raw: chunked(`${smuggledRequest.length.toString(16)}\r\n${smuggledRequest}\r\n0\r\n\r\n`, 'DELETE'),
    forwarded: [{ method: 'DELETE', target: '/here', body: smuggledRequest }],
    refused: [400, 411],
  },
  {
    name: 'a request hidden in the chunks of an OPTIONS',
    raw: chunked(`${smuggledRequest.length.toString(16)}\r\n${smuggledRequest}\r\n0\r\n\r\n`, 'OPTIONS'),
    forwarded: [{ method: 'OPTIONS', target: '/here', body: smuggledRequest }],
    refused: [400, 411],
  },
  {
    name: 'a GET with a body',
    raw: `${head('GET /here HTTP/1.1', 'Host: app.test', 'Content-Length: 5')}hello`,
    forwarded: [{ method: 'GET', target: '/here', body: 'hello' }],
    refused: [400],
  },
  {
    name: 'trailers',
    raw: chunked('5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n'),
    forwarded: [{ body: 'hello', headers: { 'x-checksum': null } }],
  },
  {
    name: 'trailers that pose as headers',
    raw: chunked(
      '5\r\nhello\r\n0\r\nHost: evil.test\r\nContent-Length: 50\r\nCookie: admin=1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n',
    ),
    forwarded: [
      { body: 'hello', headers: { host: 'app.test', cookie: null, 'x-forwarded-for': '127.0.0.1' } },
    ],
    refused: [400],
  },
  {
    name: 'a trailer section without end',
    raw: chunked(`5\r\nhello\r\n0\r\n${'X-Trailer: a\r\n'.repeat(5_000)}\r\n`),
    forwarded: [{ body: 'hello' }],
    refused: [400, 413, 431],
  },
  {
    name: 'a malformed trailer',
    raw: chunked(`5\r\nhello\r\n0\r\nno colon here\r\n\r\n${smuggledRequest}`),
    refused: [400],
  },
];
