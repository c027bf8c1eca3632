import { type HostileRequest, head, smuggledRequest } from './hostile-request.ts';

const get = (...lines: readonly string[]) => head('GET /here HTTP/1.1', 'Host: app.test', ...lines);
const hosts = (...lines: readonly string[]) => head('GET /here HTTP/1.1', ...lines);

/** Header syntax, Host, and how much of it all there may be: RFC 9112, 5 and 3.2. */
export const HEADERS: readonly HostileRequest[] = [
  { name: 'no Host', raw: hosts('Accept: */*'), refused: [400] },
  { name: 'two Hosts', raw: hosts('Host: app.test', 'Host: evil.test'), refused: [400] },
  { name: 'the same Host twice', raw: hosts('Host: app.test', 'Host: app.test'), refused: [400] },
  ...[
    'a b',
    'app.test/path',
    'user@app.test',
    'app.test:port',
    'app.test, evil.test',
    'app.test#x',
    'app.test?x',
    'app.test\\evil',
    '[::1',
    'app.test:80:80',
    'app.test\xa0',
  ].map((host) => ({
    name: `the Host ${JSON.stringify(host)}`,
    raw: hosts(`Host: ${host}`),
    refused: [400],
  })),
  { name: 'an empty Host', raw: hosts('Host:'), forwarded: [{ target: '/here' }], refused: [400] },
  {
    name: 'a Host in capitals, with a port',
    raw: hosts('Host: APP.test:8080'),
    forwarded: [{ headers: { host: /^app\.test:8080$/i } }],
  },
  {
    name: 'a Host that is an IPv6 address',
    raw: hosts('Host: [::1]:8080'),
    forwarded: [{ headers: { host: '[::1]:8080' } }],
  },
  {
    name: 'a folded header',
    raw: get('X-Fold: a', ' b'),
    forwarded: [{ headers: { 'x-fold': /^a +b$/ } }],
    refused: [400],
  },
  { name: 'a first header with a space before it', raw: hosts(' Host: app.test'), refused: [400] },
  { name: 'a fold before the first header', raw: hosts(' X: y', 'Host: app.test'), refused: [400] },
  { name: 'a space before a colon', raw: get('X-Name : a'), refused: [400] },
  { name: 'a tab before a colon', raw: get('X-Name\t: a'), refused: [400] },
  { name: 'a header without a colon', raw: get('X-Name'), refused: [400] },
  { name: 'a header without a name', raw: get(': a'), refused: [400] },
  ...[
    'X(Name)',
    'X Name',
    'X@Name',
    'X/Name',
    'X"Name',
    'X\x7fName',
    'X\xe9Name',
    'X\x00Name',
    'X{Name}',
  ].map((name) => ({
    name: `the header name ${JSON.stringify(name)}`,
    raw: get(`${name}: a`),
    refused: [400],
  })),
  ...['a\x00b', 'a\x01b', 'a\x7fb', 'a\x0bb', 'a\x08b', '\x1b[31m'].map((value) => ({
    name: `the header value ${JSON.stringify(value)}`,
    raw: get(`X-Value: ${value}`),
    refused: [400],
  })),
  { name: 'a bare CR in a header value', raw: get('X-Value: a\rb'), refused: [400] },
  { name: 'a bare LF in a header value', raw: get('X-Value: a\nX-Other: b'), refused: [400] },
  {
    name: 'a head that ends in bare LFs',
    raw: `GET /here HTTP/1.1\r\nHost: app.test\n\n${smuggledRequest}`,
    refused: [400],
  },
  {
    name: 'a head that ends in CR CR LF',
    raw: `GET /here HTTP/1.1\r\nHost: app.test\r\n\r\r\n${smuggledRequest}`,
    refused: [400],
  },
  {
    name: 'empty header values',
    raw: get('X-Empty:', 'X-Blank:   ', 'Accept: a'),
    forwarded: [{ headers: { 'x-empty': '', 'x-blank': '', accept: 'a' } }],
  },
  {
    name: 'octets above 127 in a header value',
    raw: get('X-Name: caf\xc3\xa9 \xff'),
    forwarded: [{ headers: { 'x-name': 'caf\xc3\xa9 \xff' } }],
    refused: [400],
  },
  {
    name: 'a header repeated',
    raw: get('X-Twice: a', 'X-Twice: b'),
    forwarded: [{ headers: { 'x-twice': 'a, b' } }],
  },
  {
    name: 'headers named like properties of an object',
    raw: get('__proto__: a', 'constructor: b', 'toString: c', 'hasOwnProperty: d'),
    forwarded: [{ headers: { constructor: 'b', tostring: 'c', hasownproperty: 'd' } }],
    refused: [400],
  },
  { name: 'a head of 64 KiB in one header', raw: get(`X-Big: ${'a'.repeat(64 * 1024)}`), refused: [431] },
  {
    name: 'a head of 64 KiB in many headers',
    raw: get(...Array<string>(800).fill(`X-Big: ${'a'.repeat(70)}`)),
    refused: [431],
  },
  {
    name: 'a header that stands after three thousand short ones',
    raw: get(...Array<string>(3_000).fill('a:'), 'X-Last: here'),
    refused: [400, 431],
    forwarded: [{ headers: { 'x-last': 'here' } }],
    why: 'a parser that drops headers past a count forwards another request than it read',
  },
  {
    name: 'a Content-Length that stands after three thousand short headers',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', ...Array<string>(3_000).fill('a:'), `Content-Length: ${smuggledRequest.length}`)}${smuggledRequest}`,
    refused: [400, 431],
    forwarded: [{ body: smuggledRequest }],
    why: 'its body would follow without a length, and be the next request on the reused connection',
  },
  {
    name: 'an affinity cookie of 8 KiB',
    raw: get(`Cookie: a=1; stickshift=${'v'.repeat(8 * 1024)}; b=2`),
    forwarded: [{ headers: { cookie: 'a=1; b=2' } }],
  },
  {
    name: 'affinity cookies, several and forged',
    raw: get('Cookie: stickshift=v1.x.y.z; a=1; stickshift="v1"; b=2', 'Cookie: stickshift=; c=3'),
    forwarded: [{ headers: { cookie: /^a=1; b=2(; |, )c=3$/ } }],
  },
  {
    name: 'nothing but a forged affinity cookie',
    raw: get('Cookie: stickshift=v1.k1.AAAAAAAA.1.1.1.AAAAAAAAAAAAAAAAAAAAAA'),
    forwarded: [{ headers: { cookie: /^$|^null$/ } }],
  },
];
