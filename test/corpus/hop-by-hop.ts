import { type HostileRequest, head, smuggledRequest } from './hostile-request.ts';

const get = (...lines: readonly string[]) => head('GET /here HTTP/1.1', 'Host: app.test', ...lines);

/** What belongs to one connection only, and what clients write that only a proxy may: RFC 9110, 7.6 and 10.1. */
export const HOP_BY_HOP: readonly HostileRequest[] = [
  {
    name: 'Connection: Cookie',
    raw: get('Connection: keep-alive, Cookie', 'Cookie: app=1'),
    forwarded: [{ headers: { cookie: 'app=1' } }],
    refused: [400],
    why: 'an app that misses the session cookie starts an empty session over the good one',
  },
  {
    name: 'Connection: Host',
    raw: get('Connection: Host'),
    forwarded: [{ headers: { host: 'app.test' } }],
    refused: [400],
  },
  {
    name: 'Connection: Content-Length',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Connection: Content-Length', `Content-Length: ${smuggledRequest.length}`)}${smuggledRequest}`,
    forwarded: [{ method: 'POST', body: smuggledRequest }],
    refused: [400],
    why: 'the body would follow without a length',
  },
  {
    name: 'Connection: Transfer-Encoding',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    forwarded: [{ method: 'POST', body: 'hello' }],
    refused: [400],
  },
  {
    name: 'Connection: X-Forwarded-For',
    raw: get(
      'Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host',
      'X-Forwarded-For: 10.0.0.1',
    ),
    forwarded: [
      {
        headers: {
          'x-forwarded-for': '127.0.0.1',
          'x-forwarded-proto': 'http',
          'x-forwarded-host': 'app.test',
        },
      },
    ],
    refused: [400],
  },
  {
    name: 'Connection: traceparent and a header of its own',
    raw: get('Connection: X-Mine', 'X-Mine: a', 'X-Other: b'),
    forwarded: [{ headers: { 'x-mine': null, 'x-other': 'b' } }],
    refused: [400],
  },
  {
    name: 'headers of this connection only',
    raw: get('Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: gzip'),
    forwarded: [{ headers: { 'keep-alive': null, 'proxy-connection': null, te: null } }],
  },
  {
    name: 'TE: trailers',
    raw: get('TE: trailers', 'Connection: TE'),
    forwarded: [{ headers: { te: /^(trailers|null)$/ } }],
  },
  {
    name: 'addresses of the client, written by the client',
    raw: get(
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil.test',
      'Forwarded: for=10.0.0.1',
    ),
    forwarded: [
      {
        headers: {
          'x-forwarded-for': '127.0.0.1',
          'x-forwarded-proto': 'http',
          'x-forwarded-host': 'app.test',
          forwarded: /^(null|(?!.*10\.0\.0\.1).*)$/,
        },
      },
    ],
  },
  {
    name: 'addresses of the client, spelt with underscores',
    raw: get('X_Forwarded_For: 10.0.0.1', 'X-Forwarded_Proto: https'),
    forwarded: [{ headers: { x_forwarded_for: null, 'x-forwarded_proto': null } }],
    refused: [400],
    why: 'PHP, WSGI and CGI read HTTP_X_FORWARDED_FOR from either spelling',
  },
  {
    name: 'Proxy: (httpoxy)',
    raw: get('Proxy: http://evil.test/'),
    forwarded: [{ headers: { proxy: null } }],
    refused: [400],
    why: 'CGI-like apps take HTTP_PROXY for the proxy of their own outgoing requests',
  },
  {
    name: 'Upgrade: h2c',
    raw: get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'),
    forwarded: [{ method: 'GET', target: '/here', headers: { upgrade: null, 'http2-settings': null } }],
    refused: [400, 426, 501],
    why: 'an app that takes it up speaks past every rule of the gateway from then on',
  },
  {
    name: 'Upgrade: h2c with a body',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 5')}hello`,
    forwarded: [{ method: 'POST', body: 'hello', headers: { upgrade: null } }],
    refused: [400, 426, 501],
  },
  {
    name: 'an upgrade to something unheard of',
    raw: get('Connection: Upgrade', 'Upgrade: tunnel/1.0'),
    forwarded: [{ headers: { upgrade: null } }],
    refused: [400, 426, 501],
  },
  {
    name: 'Upgrade without Connection',
    raw: get(
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ),
    forwarded: [{ headers: { upgrade: null } }],
    refused: [400, 426],
  },
  {
    name: 'a WebSocket handshake by POST, with a request in its body',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `Content-Length: ${smuggledRequest.length}`)}${smuggledRequest}`,
    forwarded: [{ method: 'POST', body: smuggledRequest }],
    refused: [400, 405, 426],
  },
  {
    name: 'a failed WebSocket handshake with a request behind it',
    raw: `${get('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')}${smuggledRequest}`,
    // The app answers 200 to the handshake; what came behind it may be dropped with the connection, or be the next request.
    forwarded: [{ method: 'GET', target: '/here' }],
    refused: [400, 502],
    why: 'a proxy that goes over to a tunnel before the 101 hands the app’s connection to the client',
  },
  {
    name: 'Expect: 100-continue with the body sent at once',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Expect: 100-continue', 'Content-Length: 5')}hello`,
    forwarded: [{ method: 'POST', body: 'hello' }],
  },
  {
    name: 'Expect: 100-continue with chunks',
    raw: `${head('POST /here HTTP/1.1', 'Host: app.test', 'Expect: 100-continue', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    forwarded: [{ method: 'POST', body: 'hello' }],
  },
  {
    name: 'Expect: 100-continue on a GET',
    raw: get('Expect: 100-continue'),
    forwarded: [{ method: 'GET' }],
  },
  {
    name: 'an expectation that nobody knows',
    raw: get('Expect: 200-maybe'),
    refused: [400, 417],
    forwarded: [{ method: 'GET', headers: { expect: null } }],
  },
  {
    name: 'two requests in one packet',
    raw: head('GET /first HTTP/1.1', 'Host: app.test') + head('GET /second HTTP/1.1', 'Host: app.test'),
    forwarded: [{ target: '/first' }, { target: '/second' }],
  },
  {
    name: 'twenty requests in one packet',
    raw: Array.from({ length: 20 }, (_, n) => head(`GET /${n} HTTP/1.1`, 'Host: app.test')).join(''),
    forwarded: Array.from({ length: 20 }, (_, n) => ({ target: `/${n}` })),
  },
  {
    name: 'a request behind a body in one packet',
    raw: `${head('POST /first HTTP/1.1', 'Host: app.test', 'Content-Length: 5')}hello${head('GET /second HTTP/1.1', 'Host: app.test')}`,
    forwarded: [{ target: '/first', body: 'hello' }, { target: '/second' }],
  },
  {
    name: 'a request behind Connection: close',
    raw: get('Connection: close') + smuggledRequest,
    forwarded: [{ target: '/here' }],
  },
];
