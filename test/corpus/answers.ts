import { head } from './hostile-request.ts';
import { AFFINITY, SESSION_AFFINITY } from './placeholders.ts';

/** Something that an app server may say to a request, and what becomes of it. */
export interface AppAnswer {
  /** Continues "both lanes are one gateway for …". */
  readonly name: string;
  /** What the app server sends, one character per octet. */
  readonly raw: string;
  /** The request that it answers. Default: a GET. */
  readonly request?: string;
  readonly method?: string;
  /** What the client sends once it is answered, on the same connection. */
  readonly rest?: string;
  /** Said as soon as the head of the request is there. */
  readonly early?: boolean;
  readonly ending?: 'end' | 'reset';
  /** The app server closes when the client has received this. */
  readonly endAfter?: string;
  /** Statuses that the client gets. Default: that of `raw`. None: it gets no whole answer. */
  readonly statuses?: readonly number[];
  /** Why the fast lane may refuse with 502 what the full lane lets through. */
  readonly refusable?: string;
}

const HOST = 'Host: app.test';
const LENGTH = 'Content-Length: 5';
const CHUNKED = 'Transfer-Encoding: chunked';
const get = (...lines: readonly string[]) => head('GET /here HTTP/1.1', HOST, ...lines);
const post = (...lines: readonly string[]) =>
  `${head('POST /here HTTP/1.1', HOST, 'Content-Length: 6', ...lines)}item=1`;
const ok = (...lines: readonly string[]) => head('HTTP/1.1 200 OK', ...lines);
const hello = (...lines: readonly string[]) => `${ok(LENGTH, ...lines)}hello`;
const chunks = (body: string, ...lines: readonly string[]) => ok(CHUNKED, ...lines) + body;
const invalid = (name: string, raw: string): AppAnswer => ({ name, raw, statuses: [502] });

const FRAMING: readonly AppAnswer[] = [
  { name: 'an answer with its length', raw: hello() },
  { name: 'an answer of no length', raw: ok('Content-Length: 0') },
  { name: 'a length with leading zeros', raw: `${ok('Content-Length: 0005')}hello` },
  { name: 'a length between blanks', raw: `${ok('Content-Length: \t5 ')}hello` },
  { name: 'a body of 100 000 octets', raw: `${ok('Content-Length: 100000')}${'x'.repeat(100_000)}` },
  {
    name: 'a body of every octet',
    raw: ok('Content-Length: 256') + String.fromCharCode(...Array(256).keys()),
  },
  { name: 'chunks', raw: chunks('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n') },
  { name: 'no chunk but the last', raw: chunks('0\r\n\r\n') },
  { name: 'sizes in capitals', raw: chunks(`A\r\n${'a'.repeat(10)}\r\n0\r\n\r\n`) },
  { name: 'sizes in small letters', raw: chunks(`a\r\n${'a'.repeat(10)}\r\n0\r\n\r\n`) },
  { name: 'sizes with leading zeros', raw: chunks('0005\r\nhello\r\n000\r\n\r\n') },
  { name: 'a chunk extension', raw: chunks('5;a=b\r\nhello\r\n0;c\r\n\r\n') },
  { name: 'a quoted chunk extension', raw: chunks('5;a="b;c"\r\nhello\r\n0\r\n\r\n') },
  { name: 'trailers', raw: chunks('5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n', 'Trailer: X-Sum') },
  { name: 'the coding in capitals', raw: `${ok('Transfer-Encoding: CHUNKED')}5\r\nhello\r\n0\r\n\r\n` },
  { name: 'a chunk of 70 000 octets', raw: chunks(`11170\r\n${'x'.repeat(70_000)}\r\n0\r\n\r\n`) },
  { name: 'a body that ends with the connection', raw: `${ok()}hello`, ending: 'end' },
  { name: 'no body but the end of the connection', raw: ok('X-Mine: a'), ending: 'end' },
  { name: 'HTTP/1.0', raw: `${head('HTTP/1.0 200 OK', LENGTH)}hello`, ending: 'end' },
  {
    name: 'HTTP/1.0 that keeps its connection',
    raw: `${head('HTTP/1.0 200 OK', LENGTH, 'Connection: keep-alive')}hello`,
  },
  { name: 'HTTP/1.0 without a length', raw: `${head('HTTP/1.0 200 OK')}hello`, ending: 'end' },
  {
    name: 'an answer without a length to a client that closes',
    raw: `${ok()}hello`,
    request: get('Connection: close'),
    ending: 'end',
  },
  {
    name: 'chunks to a client that closes',
    raw: chunks('5\r\nhello\r\n0\r\n\r\n'),
    request: get('Connection: close'),
  },
  {
    name: 'chunks to HTTP/1.0',
    raw: chunks('5\r\nhello\r\n0\r\n\r\n'),
    request: head('GET /here HTTP/1.0', HOST),
  },
  {
    name: 'chunks to HTTP/1.0 that keeps its connection',
    raw: chunks('5\r\nhello\r\n0\r\n\r\n'),
    request: head('GET /here HTTP/1.0', HOST, 'Connection: keep-alive'),
  },
];

const BODILESS: readonly AppAnswer[] = [
  ...['204 No Content', '304 Not Modified'].flatMap((status) => [
    { name: `${status}`, raw: head(`HTTP/1.1 ${status}`, 'ETag: "a"') },
    { name: `${status} with a length of 0`, raw: head(`HTTP/1.1 ${status}`, 'Content-Length: 0') },
    { name: `${status} with a length`, raw: head(`HTTP/1.1 ${status}`, LENGTH) },
    { name: `${status} with a coding`, raw: head(`HTTP/1.1 ${status}`, CHUNKED) },
  ]),
  ...[
    ['a length', ok(LENGTH)],
    ['a length of 0', ok('Content-Length: 0')],
    ['no length', ok('X-Mine: a')],
    ['chunks announced', ok(CHUNKED)],
    ['204', head('HTTP/1.1 204 No Content')],
    ['304 and a length', head('HTTP/1.1 304 Not Modified', LENGTH)],
  ].map(([name, raw = '']) => ({
    name: `HEAD, answered with ${name}`,
    request: head('HEAD /here HTTP/1.1', HOST),
    method: 'HEAD',
    raw,
  })),
  {
    name: 'HEAD, answered with a body all the same',
    request: head('HEAD /here HTTP/1.1', HOST),
    method: 'HEAD',
    raw: hello(),
  },
  { name: '204 with a body all the same', raw: `${head('HTTP/1.1 204 No Content', LENGTH)}hello` },
  { name: '205', raw: head('HTTP/1.1 205 Reset Content', 'Content-Length: 0') },
];

const INTERIM: readonly AppAnswer[] = [
  { name: '100 before the answer', raw: head('HTTP/1.1 100 Continue') + hello(), statuses: [200] },
  {
    name: '100 before the answer to a body',
    raw: head('HTTP/1.1 100 Continue') + hello(),
    request: post(),
    method: 'POST',
    statuses: [200],
  },
  {
    name: '103 before the answer',
    raw: head('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload') + hello(),
    statuses: [200],
  },
  {
    name: '102 twice before the answer',
    raw: head('HTTP/1.1 102 Processing').repeat(2) + hello(),
    statuses: [200],
  },
  { name: '199 before the answer', raw: head('HTTP/1.1 199 What', 'X-Mine: a') + hello(), statuses: [200] },
  { name: '100 and then nothing', raw: head('HTTP/1.1 100 Continue'), ending: 'end', statuses: [502] },
];

const STATUS_LINES: readonly AppAnswer[] = [
  { name: 'no reason phrase', raw: `${head('HTTP/1.1 200 ', LENGTH)}hello` },
  { name: 'no reason phrase and no blank', raw: `${head('HTTP/1.1 200', LENGTH)}hello` },
  {
    name: 'a reason phrase of its own',
    raw: `${head('HTTP/1.1 404 Gone fishing (back at 5)', LENGTH)}hello`,
  },
  { name: 'a reason phrase with octets above 127', raw: `${head('HTTP/1.1 200 Gr\xfc\xdfe', LENGTH)}hello` },
  { name: 'a reason phrase with a tab', raw: `${head('HTTP/1.1 200 O\tK', LENGTH)}hello` },
  { name: 'a status that nobody knows', raw: `${head('HTTP/1.1 299 Odd', LENGTH)}hello` },
  { name: 'status 599', raw: `${head('HTTP/1.1 599 Odd', LENGTH)}hello` },
  { name: 'a 500 of its own', raw: `${head('HTTP/1.1 500 Oops', LENGTH)}hello` },
  { name: 'a 502 of its own', raw: `${head('HTTP/1.1 502 Bad Gateway', LENGTH)}hello` },
  { name: 'a 503 of its own', raw: `${head('HTTP/1.1 503 Busy', LENGTH, 'Retry-After: 7')}hello` },
  { name: 'a redirect', raw: head('HTTP/1.1 302 Found', 'Location: /there', 'Content-Length: 0') },
  invalid('a status of two digits', `${head('HTTP/1.1 20 OK', LENGTH)}hello`),
  invalid('a status of four digits', `${head('HTTP/1.1 2000 OK', LENGTH)}hello`),
  invalid('a status that is no number', `${head('HTTP/1.1 2OO OK', LENGTH)}hello`),
  invalid('two blanks before the status', `${head('HTTP/1.1  200 OK', LENGTH)}hello`),
  invalid('HTTP/1.2', `${head('HTTP/1.2 200 OK', LENGTH)}hello`),
  invalid('http/1.1', `${head('http/1.1 200 OK', LENGTH)}hello`),
  invalid('another protocol', `${head('ICY 200 OK', LENGTH)}hello`),
  invalid('a request', get()),
  invalid('garbage', 'garbage\r\n\r\n'),
  invalid('a bare CR in the status line', `HTTP/1.1 200 O\rK\r\n${LENGTH}\r\n\r\nhello`),
  { name: 'nothing but the end of the connection', raw: '', ending: 'end', statuses: [502] },
  { name: 'nothing but a reset', raw: '', ending: 'reset', statuses: [502] },
  {
    name: 'half a head and the end of the connection',
    raw: 'HTTP/1.1 200 OK\r\nX: ',
    ending: 'end',
    statuses: [502],
  },
];

const HEADERS: readonly AppAnswer[] = [
  {
    name: 'headers in any spelling and order',
    raw: hello('x-a: 1', 'X-B: 2', 'X-A: 3', 'x-b:4', 'X-C: \t 5 \t'),
  },
  { name: 'octets above 127 in a header', raw: hello('X-Name: caf\xc3\xa9 \xff') },
  { name: 'empty headers', raw: hello('X-Empty:', 'X-Blank:  ') },
  { name: 'a Date of its own', raw: hello('Date: Mon, 01 Jan 2024 00:00:00 GMT') },
  { name: 'a Date in small letters', raw: hello('date: Mon, 01 Jan 2024 00:00:00 GMT') },
  { name: 'a hundred headers', raw: hello(...Array.from({ length: 100 }, (_, n) => `X-Header-${n}: ${n}`)) },
  { name: 'Server and X-Powered-By', raw: hello('Server: app', 'X-Powered-By: PHP') },
  { name: 'Connection: close', raw: hello('Connection: close') },
  { name: 'Connection: close, and the end', raw: hello('Connection: close'), ending: 'end' },
  {
    name: 'Connection: keep-alive and Keep-Alive',
    raw: hello('Connection: keep-alive', 'Keep-Alive: timeout=5, max=9'),
  },
  { name: 'headers that Connection names', raw: hello('Connection: X-Mine', 'X-Mine: 1', 'X-Kept: 2') },
  {
    name: 'headers that two Connection headers name',
    raw: hello('Connection: X-Mine', 'X-Mine: 1', 'connection: close, X-Kept', 'X-Kept: 2'),
  },
  {
    name: 'a Connection that names what an answer needs',
    raw: hello(
      'Connection: Content-Length, Set-Cookie, Content-Type',
      'Content-Type: text/plain',
      'Set-Cookie: a=1',
    ),
  },
  {
    name: 'headers of its connection',
    raw: hello(
      'Proxy-Connection: close',
      'Proxy-Authenticate: Basic',
      'Upgrade: h2c',
      'TE: a',
      'Trailer: X',
      'Via: a',
    ),
  },
  ...[
    'public, max-age=60',
    'private, max-age=60',
    'no-store',
    'no-cache',
    's-maxage=9, must-revalidate',
    'private="Set-Cookie"',
    'Public,,MAX-AGE = 5',
    '',
  ].flatMap((value) => [
    { name: `Cache-Control: ${value}, to a new client`, raw: hello(`Cache-Control: ${value}`, 'X-Mine: a') },
    {
      name: `Cache-Control: ${value}, to a bound client`,
      raw: hello(`cache-control: ${value}`, 'X-Mine: a'),
      request: get(`Cookie: stickshift=${AFFINITY}`),
    },
  ]),
  {
    name: 'Cache-Control twice, and those of CDNs',
    raw: hello(
      'Cache-Control: public',
      'CDN-Cache-Control: max-age=9',
      'cache-control: max-age=1',
      'Surrogate-Control: a',
    ),
  },
  {
    name: 'several cookies',
    raw: hello('Set-Cookie: a=1; Path=/', 'X-Mine: a', 'set-cookie: b=2', 'Set-Cookie: c=3'),
  },
  { name: 'a cookie named like the affinity cookie', raw: hello('Set-Cookie: stickshift=mine') },
  { name: 'the cookie of a new session', raw: hello('Set-Cookie: sid=new; Path=/; HttpOnly') },
  {
    name: 'the cookie of a new session in the place of another',
    raw: hello('Set-Cookie: a=1', 'Set-Cookie: sid=new', 'Set-Cookie: b=2'),
    request: get(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
  },
  {
    name: 'the cookie of the session that there is',
    raw: hello('Set-Cookie: sid=known'),
    request: get(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
  },
  ...['sid=; Max-Age=0', 'sid=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'sid='].map((cookie) => ({
    name: `the deletion of the session by ${cookie}`,
    raw: hello(`Set-Cookie: ${cookie}`),
    request: get(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
  })),
  invalid('a NUL in a header', hello('X-Mine: a\x00b')),
  invalid('a control octet in a header', hello('X-Mine: a\x01b')),
  invalid('a DEL in a header', hello('X-Mine: a\x7fb')),
  invalid('a bare CR in a header', hello('X-Mine: a\rb')),
  invalid('a bare LF in a header', hello('X-Mine: a\nX-Other: b')),
  invalid('lines that end in bare LFs', `HTTP/1.1 200 OK\n${LENGTH}\n\nhello`),
  invalid('a head that ends in a bare LF', `HTTP/1.1 200 OK\r\n${LENGTH}\r\n\nhello`),
  invalid('a folded header', hello('X-Mine: a', ' b')),
  invalid('a blank before a colon', hello('X-Mine : a')),
  invalid('a blank before the first header', `${head('HTTP/1.1 200 OK', ' X-Mine: a', LENGTH)}hello`),
  invalid('a header without a colon', hello('X-Mine')),
  invalid('a header without a name', hello(': a')),
  invalid('a header name with a separator', hello('X(Mine): a')),
  invalid('a header name with an octet above 127', hello('X\xe9: a')),
  invalid('a head of 20 KiB', hello(`X-Big: ${'a'.repeat(20_000)}`)),
  invalid('a head of 200 KiB', hello(...Array<string>(2_000).fill(`X-Big: ${'a'.repeat(100)}`))),
  { name: 'a head of 15 KiB', raw: hello(`X-Big: ${'a'.repeat(15_000)}`) },
];

const BROKEN_FRAMING: readonly AppAnswer[] = [
  invalid('two lengths that differ', `${ok(LENGTH, 'Content-Length: 6')}hello!`),
  invalid('two lengths that are equal', `${ok(LENGTH, LENGTH)}hello`),
  invalid('two lengths in one header', `${ok('Content-Length: 5, 5')}hello`),
  ...['+5', '-5', '0x5', '5 5', '5;', '', 'five', '99999999999999999999'].map((length) =>
    invalid(`the length ${JSON.stringify(length)}`, `${ok(`Content-Length: ${length}`)}hello`),
  ),
  invalid('a length before chunks', `${ok(LENGTH, CHUNKED)}5\r\nhello\r\n0\r\n\r\n`),
  invalid('chunks before a length', `${ok(CHUNKED, LENGTH)}5\r\nhello\r\n0\r\n\r\n`),
  invalid(
    'a blank before the colon of the coding',
    `${ok('Transfer-Encoding : chunked')}5\r\nhello\r\n0\r\n\r\n`,
  ),
  {
    name: 'a body that is longer than its length',
    raw: `${ok(LENGTH)}hello, world`,
  },
  {
    name: 'a second answer that nobody asked for',
    raw: hello() + hello(),
  },
  {
    name: 'a second answer that nobody asked for, and the end',
    raw: hello() + hello(),
    ending: 'end',
  },
  {
    name: 'octets behind the last chunk',
    raw: chunks('5\r\nhello\r\n0\r\n\r\nmore'),
  },
  ...(['end', 'reset'] as const).flatMap((ending) => [
    {
      name: `a held body that is shorter than its length (${ending})`,
      raw: `${ok('Content-Length: 50', 'Set-Cookie: sid=new')}hello`,
      ending,
      statuses: [502],
    },
    {
      name: `held chunks that break off (${ending})`,
      raw: chunks('50\r\nhello', 'Set-Cookie: sid=new'),
      ending,
      statuses: [502],
    },
  ]),
  {
    name: 'a body that is shorter than its length',
    raw: `${ok('Content-Length: 50')}hello`,
    endAfter: 'hello',
    statuses: [],
  },
  { name: 'chunks that break off within one', raw: chunks('50\r\nhello'), endAfter: 'hello', statuses: [] },
  {
    name: 'chunks that break off between two',
    raw: chunks('5\r\nhello\r\n'),
    endAfter: 'hello',
    statuses: [],
  },
  {
    name: 'chunks that break off before the end of the last',
    raw: chunks('5\r\nhello\r\n0\r\n'),
    endAfter: 'hello',
    statuses: [],
  },
];

const LONG_POST = `${head('POST /here HTTP/1.1', HOST, 'Content-Length: 6')}i`;

/** With an octet of the body, since the full lane sends no head before that has come. */
const EARLY: readonly AppAnswer[] = [
  {
    name: 'an answer before the rest of a body',
    request: LONG_POST,
    method: 'POST',
    rest: 'tem=1',
    raw: hello(),
    early: true,
  },
  {
    name: 'an answer before the rest of a body, with Connection: close',
    request: LONG_POST,
    method: 'POST',
    rest: 'tem=1',
    raw: `${head('HTTP/1.1 413 Too Large', LENGTH, 'Connection: close')}hello`,
    early: true,
  },
  {
    name: 'an answer before the rest of some chunks',
    request: `${head('POST /here HTTP/1.1', HOST, CHUNKED)}3\r\nite\r\n`,
    method: 'POST',
    rest: '3\r\nm=1\r\n0\r\n\r\n',
    raw: hello(),
    early: true,
  },
];

const STREAMS: readonly AppAnswer[] = [
  {
    name: 'an event stream of chunks',
    raw: chunks('9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n', 'Content-Type: text/event-stream'),
  },
  {
    name: 'an event stream that ends with the connection',
    raw: `${ok('Content-Type: text/event-stream; charset=utf-8')}data: a\n\n`,
    endAfter: 'data: a',
  },
  {
    name: 'an event stream that sets the session',
    raw: chunks('9\r\ndata: a\n\n\r\n0\r\n\r\n', 'Content-Type: text/event-stream', 'Set-Cookie: sid=new'),
  },
  {
    name: 'the answer to a write to a session',
    request: post(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
    method: 'POST',
    raw: hello(),
  },
  {
    name: 'chunks that answer a write to a session',
    request: post(`Cookie: sid=known; stickshift=${SESSION_AFFINITY}`),
    method: 'POST',
    raw: chunks('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 'Trailer: X-Sum'),
  },
  {
    name: 'a body without a length that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: `${ok()}hello`,
    ending: 'end',
  },
  {
    name: '204 that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: head('HTTP/1.1 204 No Content', 'X-Mine: a'),
  },
  {
    name: 'a redirect that answers a login',
    request: post(),
    method: 'POST',
    raw: head('HTTP/1.1 303 See Other', 'Location: /', 'Set-Cookie: sid=new', 'Content-Length: 0'),
  },
  {
    name: 'HEAD that sets the session',
    request: head('HEAD /here HTTP/1.1', HOST),
    method: 'HEAD',
    raw: ok(LENGTH, 'Set-Cookie: sid=new'),
  },
  {
    name: '502 of its own that answers a write to a session',
    request: post('Cookie: sid=known'),
    method: 'POST',
    raw: `${head('HTTP/1.1 502 Bad Gateway', LENGTH)}hello`,
  },
];

/**
 * The one table of what the lanes may do differently: the fast lane does as the full lane does, or answers 502. Most of it is what
 * Node's parser lets through although no app server should say it.
 */
const REFUSABLE: readonly AppAnswer[] = [
  ...[
    { name: 'status 600', raw: `${head('HTTP/1.1 600 Odd', LENGTH)}hello` },
    { name: 'status 999', raw: `${head('HTTP/1.1 999 Odd', LENGTH)}hello` },
  ].map((answer) => ({ ...answer, refusable: 'RFC 9110, 15: a status is within 100 and 599' })),
  ...[
    { name: 'HTTP/2.0', raw: `${head('HTTP/2.0 200 OK', LENGTH)}hello`, statuses: [200] },
    { name: 'RTSP/1.0', raw: `${head('RTSP/1.0 200 OK', LENGTH)}hello`, statuses: [200] },
  ].map((answer) => ({ ...answer, refusable: 'it is no version of HTTP/1' })),
  {
    name: 'an empty line before the answer',
    raw: `\r\n${hello()}`,
    statuses: [200],
    refusable: 'RFC 9112, 2.2 has servers ignore one before a request, and nobody before an answer',
  },
  ...[
    { name: 'chunked twice', raw: `${ok(CHUNKED, CHUNKED)}5\r\nhello\r\n0\r\n\r\n` },
    {
      name: 'a coding behind chunked',
      raw: `${ok('Transfer-Encoding: chunked, gzip')}5\r\nhello\r\n0\r\n\r\n`,
      ending: 'end' as const,
    },
    {
      name: 'a coding that nobody knows',
      raw: `${ok('Transfer-Encoding: xchunked')}hello`,
      ending: 'end' as const,
    },
    { name: 'the coding identity', raw: `${ok('Transfer-Encoding: identity')}hello`, ending: 'end' as const },
    { name: 'gzip, then chunked', raw: `${ok('Transfer-Encoding: gzip, chunked')}5\r\nhello\r\n0\r\n\r\n` },
  ].map((answer) => ({
    ...answer,
    // Without its coding, which is of the connection, the body is not what it was.
    statuses: [502],
  })),
  ...[
    ...['5x', '-5', ' 5', '', '5 5', '0x5', 'FFFFFFFFFFFFFFFFF'].map((size) => ({
      name: `a second chunk of size ${JSON.stringify(size)}`,
      raw: chunks(`2\r\nok\r\n${size}\r\nhello\r\n0\r\n\r\n`),
    })),
    { name: 'a second chunk longer than it says', raw: chunks('2\r\nok\r\n3\r\nhello\r\n0\r\n\r\n') },
    { name: 'a second chunk behind a bare LF', raw: chunks('2\r\nok\n5\r\nhello\r\n0\r\n\r\n') },
    { name: 'a malformed trailer', raw: chunks('2\r\nok\r\n0\r\nno colon\r\n\r\n') },
  ].map((answer) => ({
    ...answer,
    statuses: [],
    refusable: 'whether the head has gone out when its body turns out to be broken is a matter of timing',
  })),
];

export const APP_ANSWERS: readonly AppAnswer[] = [
  ...FRAMING,
  ...BODILESS,
  ...INTERIM,
  ...STATUS_LINES,
  ...HEADERS,
  ...BROKEN_FRAMING,
  ...EARLY,
  ...STREAMS,
  ...REFUSABLE,
];
