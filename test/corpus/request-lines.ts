import { type HostileRequest, head } from './hostile-request.ts';

const get = (target: string, ...lines: readonly string[]) =>
  head(`GET ${target} HTTP/1.1`, 'Host: app.test', ...lines);
const line = (requestLine: string) => head(requestLine, 'Host: app.test');

/** Methods, targets and versions: RFC 9112, 3. */
export const REQUEST_LINES: readonly HostileRequest[] = [
  // What a URL parser would "mend". The app server must see what the client wrote, octet for octet.
  ...[
    '//evil.test/path',
    '///path',
    '/a/../b',
    '/a/./b',
    '/%2e%2e/b',
    '/a//b/',
    '/?',
    '/?a=b?c&&d',
    '/a?b=/../c',
    '/%zz',
    '/%00',
    '/a;jsessionid=1;x/b;y',
    "/~!$&'()*+,=:@",
    '/a\\b',
    '/\\evil.test',
    '/"<>^`{|}',
    '/a?http://evil.test/',
    '/:80',
    '/@evil.test',
  ].map((target) => ({
    name: `the target ${target}`,
    raw: get(target),
    forwarded: [{ method: 'GET', target, headers: { host: 'app.test' } }],
    // Characters that no URI may hold can also be refused.
    ...(/["<>\\^`{|}]/.test(target) ? { refused: [400] } : {}),
  })),
  {
    name: 'octets above 127 in the target',
    raw: get('/caf\xc3\xa9'),
    forwarded: [{ target: '/caf\xc3\xa9' }],
    refused: [400],
  },
  {
    name: 'a fragment in the target',
    raw: get('/a#b'),
    forwarded: [{ target: '/a' }],
    refused: [400],
  },
  {
    name: 'an absolute-form target',
    raw: get('http://app.test/here?a=b'),
    forwarded: [{ target: '/here?a=b', headers: { host: 'app.test' } }],
  },
  {
    name: 'an absolute-form target without a path',
    raw: get('http://app.test'),
    forwarded: [{ target: '/', headers: { host: 'app.test' } }],
    refused: [400],
  },
  {
    name: 'an absolute-form target with another name than Host',
    raw: head('GET http://app.test/here HTTP/1.1', 'Host: other.test'),
    forwarded: [{ target: '/here', headers: { host: 'app.test' } }],
    refused: [400, 421],
    why: 'RFC 9112, 3.2.2: the target wins; a gateway that routes by one and forwards the other serves two masters',
  },
  {
    name: 'an absolute-form target with a user name',
    raw: get('http://app.test@evil.test/here'),
    refused: [400],
  },
  {
    name: 'an absolute-form target of another scheme',
    raw: get('file:///etc/passwd'),
    refused: [400],
  },
  {
    name: 'an absolute-form target that names an inner service',
    raw: head('GET http://127.0.0.1:9090/readyz HTTP/1.1', 'Host: 127.0.0.1:9090'),
    forwarded: [{ target: '/readyz', headers: { host: '127.0.0.1:9090' } }],
    refused: [400, 403, 404, 421],
    why: 'the gateway is no forward proxy: only the pool’s app server may ever see it',
  },
  {
    name: 'OPTIONS *',
    raw: line('OPTIONS * HTTP/1.1'),
    forwarded: [{ method: 'OPTIONS', target: '*' }],
    refused: [200, 204, 400, 404, 405, 501],
    why: 'an answer by the gateway itself is as good as one by the app',
  },
  { name: 'GET *', raw: line('GET * HTTP/1.1'), refused: [400] },
  { name: 'an authority-form target of a GET', raw: line('GET app.test:80 HTTP/1.1'), refused: [400] },
  { name: 'a target without a leading slash', raw: line('GET here HTTP/1.1'), refused: [400] },
  { name: 'an empty target', raw: line('GET  HTTP/1.1'), refused: [400] },
  { name: 'a space in the target', raw: line('GET /a b HTTP/1.1'), refused: [400] },
  { name: 'a tab in the target', raw: line('GET /a\tb HTTP/1.1'), refused: [400] },
  { name: 'a control octet in the target', raw: line('GET /a\x01b HTTP/1.1'), refused: [400] },
  { name: 'a NUL in the target', raw: line('GET /a\x00b HTTP/1.1'), refused: [400] },
  {
    name: 'two spaces in the request line',
    raw: line('GET  /here HTTP/1.1'),
    // RFC 9112, 3: a server may take any run of whitespace for the one space, as long as it passes on one.
    forwarded: [{ target: '/here' }],
    refused: [400],
  },
  { name: 'a tab in the request line', raw: line('GET\t/here HTTP/1.1'), refused: [400] },
  { name: 'a space after the version', raw: line('GET /here HTTP/1.1 '), refused: [400] },
  {
    name: 'a bare LF after the request line',
    raw: 'GET /here HTTP/1.1\nHost: app.test\r\n\r\n',
    refused: [400],
  },
  {
    name: 'a bare CR in the request line',
    raw: 'GET /here\rHTTP/1.1\r\nHost: app.test\r\n\r\n',
    refused: [400],
  },
  {
    name: 'an empty line before the request',
    raw: `\r\n${get('/here')}`,
    forwarded: [{ target: '/here' }],
    refused: [400],
  },
  { name: 'a method in small letters', raw: line('get /here HTTP/1.1'), refused: [400, 405, 501] },
  { name: 'a method that nobody knows', raw: line('BREW /here HTTP/1.1'), refused: [400, 405, 501] },
  { name: 'a method with a separator in it', raw: line('GE(T /here HTTP/1.1'), refused: [400] },
  {
    name: 'a method without end',
    raw: line(`${'A'.repeat(9_000)} /here HTTP/1.1`),
    refused: [400, 405, 431, 501],
  },
  {
    name: 'PROPFIND, which is unusual and sound',
    raw: line('PROPFIND /here HTTP/1.1'),
    forwarded: [{ method: 'PROPFIND' }],
  },
  { name: 'TRACE', raw: line('TRACE /here HTTP/1.1'), refused: [405, 501] },
  {
    name: 'TRACE with a body',
    raw: `${head('TRACE /here HTTP/1.1', 'Host: app.test', 'Content-Length: 5')}hello`,
    refused: [400, 405, 501],
  },
  {
    name: 'CONNECT',
    raw: head('CONNECT app.test:443 HTTP/1.1', 'Host: app.test:443'),
    refused: [400, 405, 501],
  },
  {
    name: 'CONNECT with bytes behind it',
    raw: `${head('CONNECT app.test:443 HTTP/1.1', 'Host: app.test:443')}GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n`,
    refused: [400, 405, 501],
  },
  {
    name: 'HTTP/0.9',
    raw: 'GET /here\r\n',
    refused: [400, 408],
    why: 'a server that waits for the headers of HTTP/1 does not get any',
  },
  { name: 'HTTP/0.9 with headers', raw: head('GET /here', 'Host: app.test'), refused: [400] },
  {
    name: 'HTTP/1.0 with keep-alive',
    raw: head('GET /here HTTP/1.0', 'Host: app.test', 'Connection: keep-alive'),
    forwarded: [{ target: '/here', headers: { host: 'app.test' } }],
  },
  {
    name: 'HTTP/1.0 without Host',
    raw: head('GET /here HTTP/1.0'),
    forwarded: [{ target: '/here' }],
    refused: [400],
  },
  {
    name: 'the preface of HTTP/2',
    raw: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00',
    refused: [400, 505],
  },
  ...[
    'HTTP/2.0',
    'HTTP/1.2',
    'HTTP/9.9',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/1',
    'http/1.1',
    'HTTP /1.1',
    'ICE/1.0',
  ].map((version) => ({
    name: `the version ${version}`,
    raw: line(`GET /here ${version}`),
    refused: [400, 505],
  })),
  {
    name: 'the version RTSP/1.0',
    raw: line('GET /here RTSP/1.0'),
    refused: [400, 505],
    forwarded: [{ method: 'GET', target: '/here', headers: { host: 'app.test' } }],
    why: 'Node’s parser takes it for HTTP/1.0 and tells nobody; the app server gets plain HTTP/1.1, so nothing has two readings',
  },
  {
    name: 'the method SOURCE of ICE',
    raw: head('SOURCE /here ICE/1.0', 'Host: app.test'),
    refused: [400, 405, 501, 505],
  },
  {
    name: 'a TLS handshake on a plain port',
    raw: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    refused: [400],
  },
  {
    name: 'a target as long as the head may be',
    raw: line(`GET /${'a'.repeat(64 * 1024)} HTTP/1.1`),
    refused: [414, 431],
  },
];
