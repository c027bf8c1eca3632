import { type AppAnswer, get, hello, invalid, LENGTH, post } from './app-answer.ts';
import { head } from './hostile-request.ts';
import { AFFINITY, SESSION_AFFINITY } from './placeholders.ts';

export const INTERIM: readonly AppAnswer[] = [
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

export const STATUS_LINES: readonly AppAnswer[] = [
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

export const ANSWER_HEADERS: readonly AppAnswer[] = [
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
