import { head } from './hostile-request.ts';
import { ORDINARY_COOKIES } from './ordinary-cookies.ts';
import { cookies, every, get, HOST, type OrdinaryRequest, target, withBody } from './ordinary-request.ts';
import { SESSION_AFFINITY } from './placeholders.ts';

const METHODS: readonly OrdinaryRequest[] = [
  ...[
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'PROPFIND',
    'REPORT',
    'M-SEARCH',
    'QUERY',
  ].flatMap((method) => [
    {
      name: `${method} without a body`,
      raw: head(`${method} /here HTTP/1.1`, HOST),
      methods: [method],
    },
    { name: `${method} with a body`, raw: withBody(method, 'hello'), methods: [method] },
    {
      name: `${method} with a body of no length`,
      raw: withBody(method, ''),
      methods: [method],
    },
    {
      name: `${method} with chunks`,
      raw: `${head(`${method} /here HTTP/1.1`, HOST, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
      methods: [method],
    },
  ]),
  { name: 'OPTIONS *', raw: head('OPTIONS * HTTP/1.1', HOST), methods: ['OPTIONS'] },
  {
    name: 'a body of 100 000 octets',
    raw: withBody('POST', 'x'.repeat(100_000)),
    methods: ['POST'],
  },
  {
    name: 'a body of every octet',
    raw: withBody('PUT', String.fromCharCode(...Array(256).keys()).repeat(3)),
    methods: ['PUT'],
  },
  {
    name: 'a body that looks like a request',
    raw: withBody('POST', target('/smuggled')),
    methods: ['POST'],
  },
  {
    name: 'a body behind Expect: 100-continue',
    raw: head('POST /here HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 5'),
    methods: ['POST'],
    rest: 'hello',
    restAfter: 0,
  },
];

const TARGETS: readonly OrdinaryRequest[] = [
  '/',
  '/?',
  '/?a=1&b=2',
  '/a/../b',
  '/%2e%2e/',
  '//double',
  '/a;sid=x?y',
  '/?url=http://x/',
  '/a%00b',
  '/~!$&()*+,;=:@',
  `/${'a'.repeat(8_000)}`,
  `/?${'q=1&'.repeat(1_000)}`,
]
  .map((path) => ({ name: `the target ${path.slice(0, 40)}`, raw: target(path) }))
  .concat([
    { name: 'an absolute-form target', raw: target('http://app.test/here?a') },
    { name: 'HTTP/1.0', raw: head('GET /here HTTP/1.0', HOST) },
    {
      name: 'HTTP/1.0 that keeps its connection',
      raw: head('GET /here HTTP/1.0', HOST, 'Connection: keep-alive'),
    },
    { name: 'HTTP/1.0 without Host', raw: head('GET /here HTTP/1.0') },
    { name: 'a Host with a port', raw: head('GET /here HTTP/1.1', 'Host: App.Test:8080') },
    { name: 'a Host that is an address', raw: head('GET /here HTTP/1.1', 'Host: [::1]:80') },
    { name: 'a Host that comes last', raw: head('GET /here HTTP/1.1', 'Accept: */*', HOST) },
    { name: 'a Host in other letters', raw: head('GET /here HTTP/1.1', 'hOST:app.test') },
    { name: 'an empty line before the request', raw: `\r\n${get()}` },
  ]);

const HEADERS: readonly OrdinaryRequest[] = [
  {
    name: 'what a browser sends',
    raw: get(
      'Connection: keep-alive',
      'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
      'Upgrade-Insecure-Requests: 1',
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64)',
      'Accept: text/html,application/xhtml+xml,*/*;q=0.8',
      'Accept-Encoding: gzip, deflate, br',
      'Accept-Language: de,en;q=0.9',
      `Cookie: sid=known; stickshift=${SESSION_AFFINITY}; theme=dark`,
    ),
  },
  ...[
    'Connection: close',
    'Connection: Close',
    'Connection: keep-alive',
    'Connection: Keep-Alive',
    'Connection: keep-alive, X-Mine',
    'Connection: X-Mine, close',
    'Connection: ,, close ,',
    'Connection: te',
    'Connection:',
    'Connection: "close"',
    'Connection: closed',
    'Keep-Alive: timeout=5, max=100',
    'Proxy-Connection: close',
    'Proxy-Authorization: Basic eDp5',
    'Proxy-Authenticate: Basic',
    'Proxy: http://x/',
    'TE: trailers',
    'TE: gzip;q=0.5',
    'Trailer: X-Sum',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
    'Authorization: Basic eDp5',
    'Expect: 100-continue',
    'Expect: 200-maybe',
    'Upgrade: h2c',
    'Via: 1.1 elsewhere',
    'Range: bytes=0-9',
    'If-None-Match: "a", W/"b"',
    'Date: Mon, 01 Jan 2024 00:00:00 GMT',
    'Max-Forwards: 0',
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'traceparent: 00-00000000000000000000000000000000-0000000000000000-00',
    'tracestate: a=1,b=2',
    'baggage: a=1',
    'X-Request-Id: mine',
    'X_Underscored: a',
    'Content_Length: 5',
    'X-Empty:',
    'X-Blank:  \t ',
    'X-Spaced: \t a  b \t ',
    'X-Tight:a',
    'X-Octets: caf\xc3\xa9 \xff\x80',
    'X-Odd: "(),/:;<=>?@[]{}\\',
    '1: a header that is a number',
    '__proto__: a',
    'constructor: a',
    "!#$%&'*+.^_`|~: all that a name may hold",
    'MiXeD-CaSe: Value',
    `X-Long: ${'v'.repeat(8_000)}`,
  ].map((line) => ({
    name: `the header ${JSON.stringify(line.slice(0, 60))}`,
    raw: get(line, 'X-Mine: mine', 'Accept: */*'),
  })),
  { name: 'a header twice', raw: get('X-Twice: a', 'X-Other: b', 'X-Twice: c') },
  { name: 'a header three times, in three spellings', raw: get('X-Trice: a', 'x-trice: b', 'X-TRICE: c') },
  {
    name: 'headers of which Node keeps the first, twice',
    raw: get(
      ...[
        'Age',
        'Authorization',
        'Content-Type',
        'ETag',
        'Expires',
        'From',
        'If-Modified-Since',
        'If-Unmodified-Since',
      ],
      ...[
        'Last-Modified',
        'Location',
        'Max-Forwards',
        'Proxy-Authorization',
        'Referer',
        'Retry-After',
        'Server',
      ],
      ...['User-Agent'],
    ).replaceAll(/^([A-Z][A-Za-z-]*)$/gm, '$1: first\r\n$1: second'),
  },
  {
    name: 'headers of which Node keeps all, twice',
    raw: get('Set-Cookie: a=1', 'Set-Cookie: b=2', 'Accept: a', 'Accept: b', 'Via: a', 'Via: b'),
  },
  {
    name: 'two Connection headers',
    raw: get('Connection: X-Mine', 'X-Mine: a', 'Connection: close', 'X-Kept: b'),
  },
  { name: 'a hundred headers', raw: get(...every(100, (n) => `X-Header-${n}: ${n}`)) },
  { name: 'four hundred headers', raw: get(...every(400, (n) => `H${n}: ${n}`)) },
  { name: 'numbers for names, out of order', raw: get('20: a', 'X-Mine: b', '3: c') },
  {
    name: 'X-Forwarded-* of the client’s own',
    raw: get(
      'X-Forwarded-For: 203.0.113.9',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: shop.test',
      'X-Forwarded-Port: 8443',
      'X-Forwarded-Prefix: /shop',
      'X-Real-IP: 203.0.113.9',
      'Forwarded: for=203.0.113.9;proto=https',
      'X_Forwarded_For: 203.0.113.9',
    ),
  },
  {
    name: 'X-Forwarded-For twice, in chains',
    raw: get(
      'X-Forwarded-For: 203.0.113.9, 10.0.0.1',
      'x-forwarded-for: 192.0.2.1',
      'X-Forwarded-Proto: http, https',
    ),
  },
  {
    name: 'X-Forwarded-Proto of a WebSocket',
    raw: get('X-Forwarded-Proto: wss', 'X-Forwarded-Host: shop.test:444'),
  },
  { name: 'empty X-Forwarded-*', raw: get('X-Forwarded-For:', 'X-Forwarded-Host:', 'X-Forwarded-Proto:') },
];

/** Refused, in the form that the client asks for. */
const REFUSED: readonly OrdinaryRequest[] = [
  'text/html',
  'application/json',
  'application/problem+json',
  'text/plain',
  '*/*',
  'text/html;q=0.1, application/json',
  '',
  'garbage;;;',
].flatMap((accept) => [
  {
    name: `a refusal to a client that accepts ${JSON.stringify(accept)}`,
    raw: head('TRACE /here HTTP/1.1', HOST, `Accept: ${accept}`),
    methods: ['TRACE'],
    statuses: [405],
  },
  {
    name: `a bad head of a client that accepts ${JSON.stringify(accept)}`,
    raw: head('GET /here HTTP/1.1', HOST, HOST, `Accept: ${accept}`),
    statuses: [400],
  },
]);

const SEQUENCES: readonly OrdinaryRequest[] = [
  ...[2, 3, 4, 5].map((length) => ({
    name: `${length} requests in one packet`,
    raw: every(length, (n) => target(`/${n}`)).join(''),
    methods: every(length, () => 'GET'),
  })),
  {
    name: 'requests with and without bodies in one packet',
    raw: target('/1') + withBody('POST', 'hello') + target('/3') + withBody('PUT', '') + target('/5'),
    methods: ['GET', 'POST', 'GET', 'PUT', 'GET'],
  },
  {
    name: 'requests with lengths and with chunks in one packet',
    raw: `${withBody('POST', 'hello')}${head('POST /2 HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}2\r\nab\r\n0\r\n\r\n${target('/3')}`,
    methods: ['POST', 'POST', 'GET'],
  },
  {
    name: 'HEAD between others in one packet',
    raw: target('/1') + head('HEAD /2 HTTP/1.1', HOST) + target('/3'),
    methods: ['GET', 'HEAD', 'GET'],
  },
  {
    name: 'a request behind the last one of its connection',
    raw: target('/1') + get('Connection: close') + target('/smuggled'),
    methods: ['GET', 'GET'],
  },
  {
    name: 'a bad request behind good ones in one packet',
    raw: target('/1') + target('/2') + head('GET /3 HTTP/1.1', HOST, HOST),
    methods: ['GET', 'GET', 'GET'],
    statuses: [200, 200, 400],
  },
  {
    name: 'a request that does not parse behind good ones in one packet',
    raw: `${target('/1')}${target('/2')}GET /3 HTTP/9.9\r\n\r\n`,
    methods: ['GET', 'GET', 'GET'],
    statuses: [200, 200, 400],
  },
  {
    name: 'good requests behind a bad one in one packet',
    raw: target('/1') + head('GET /2 HTTP/1.1', HOST, HOST) + target('/smuggled'),
    methods: ['GET', 'GET'],
    statuses: [200, 400],
  },
  {
    name: 'a refused method between others in one packet',
    raw: target('/1') + head('TRACE /2 HTTP/1.1', HOST) + target('/3'),
    methods: ['GET', 'TRACE', 'GET'],
    statuses: [200, 405, 200],
  },
  {
    name: 'a refused method, and a malformed chunk in the same piece',
    raw: `${head('TRACE / HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}1\r\n\x000\r\n\r\n`,
    methods: ['TRACE'],
    statuses: [405],
  },
  {
    name: 'a second request when the first is answered',
    raw: target('/1'),
    rest: target('/2'),
  },
  {
    name: 'a body when a request without one is answered',
    raw: withBody('POST', 'hello') + target('/2'),
    methods: ['POST', 'GET'],
    rest: withBody('POST', 'again') + target('/4'),
  },
  {
    name: 'an affinity cookie after none, on one connection',
    raw: get(),
    rest: cookies(`sid=known; stickshift=${SESSION_AFFINITY}`),
  },
  {
    name: 'chunks after a request without a body, on one connection',
    raw: get(),
    rest: `${head('POST /2 HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}2\r\nab\r\n0\r\n\r\n`,
  },
];

export const ORDINARY_REQUESTS: readonly OrdinaryRequest[] = [
  ...METHODS,
  ...TARGETS,
  ...ORDINARY_COOKIES,
  ...HEADERS,
  ...REFUSED,
  ...SEQUENCES,
];
