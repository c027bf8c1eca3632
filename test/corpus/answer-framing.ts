import { type AppAnswer, CHUNKED, chunks, get, HOST, hello, invalid, LENGTH, ok } from './app-answer.ts';
import { head } from './hostile-request.ts';

export const ANSWER_FRAMING: readonly AppAnswer[] = [
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

export const BODILESS: readonly AppAnswer[] = [
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

export const BROKEN_FRAMING: readonly AppAnswer[] = [
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
  ...(
    [
      ['no body', head('HTTP/1.1 304 Not Modified'), 304],
      ['a length', hello(), 200],
      ['chunks', chunks('5\r\nhello\r\n0\r\n\r\n'), 200],
      ['trailers', chunks('5\r\nhello\r\n0\r\nX-Sum: a\r\n\r\n'), 200],
      ['an interim head', `${head('HTTP/1.1 103 Early Hints', 'Link: a')}${hello()}`, 200],
    ] as const
  ).flatMap(([name, raw, status]): AppAnswer[] => [
    { name: `the beginning of another answer behind ${name}`, raw: `${raw}H`, statuses: [status] },
    {
      ...{ name: `the beginning of another answer behind ${name}, and the end`, statuses: [status] },
      ...{ raw: `${raw}HTTP/1.1 2`, ending: 'end' },
    },
  ]),
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
