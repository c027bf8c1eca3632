import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HOP_BY_HOP } from './hop-by-hop.ts';
import { createRequestHeaders } from './request-headers.ts';
import { createTrustedProxies } from './trusted-proxies.ts';

const builder = createRequestHeaders({
  trustedProxies: createTrustedProxies(['10.0.0.0/8']),
  affinityCookies: ['stickshift', 'stickshift-other'],
});

const CLIENT = '192.0.2.1';
const PROXY = '10.0.0.1';

function forwarded(
  headers: Record<string, string>,
  { peer = CLIENT, encrypted = false, upgrade = false } = {},
): Record<string, unknown> {
  const request = { headers: { host: 'shop.test', ...headers }, socket: { remoteAddress: peer, encrypted } };
  return { ...builder.forBackend(request, builder.client(request), { upgrade }) };
}

describe('the headers for a backend', () => {
  test('are the client’s, and say who it is', () => {
    assert.deepEqual(forwarded({ accept: '*/*', 'content-length': '5' }), {
      host: 'shop.test',
      accept: '*/*',
      'content-length': '5',
      'x-forwarded-for': CLIENT,
      'x-forwarded-host': 'shop.test',
      'x-forwarded-port': '80',
      'x-forwarded-proto': 'http',
    });
  });

  test('have none of the connection’s own, nor what Connection names', () => {
    const headers = forwarded({
      connection: 'Keep-Alive, X-Mine ,x-other',
      'keep-alive': 'timeout=5',
      'proxy-connection': 'keep-alive',
      'proxy-authorization': 'Basic x',
      te: 'trailers',
      trailer: 'x-checksum',
      'transfer-encoding': 'chunked',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABk',
      expect: '100-continue',
      proxy: 'http://evil.test',
      'x-mine': '1',
      'x-other': '2',
      'x-kept': '3',
    });
    const rest = Object.keys(headers).filter((name) => !name.startsWith('x-forwarded-'));
    assert.deepEqual(rest, ['host', 'x-kept']);
  });

  test('keep Connection and Upgrade of a handshake, and no other option', () => {
    const headers = forwarded({ connection: 'keep-alive, Upgrade', upgrade: 'websocket' }, { upgrade: true });
    assert.equal(headers.connection, 'Upgrade');
    assert.equal(headers.upgrade, 'websocket');
  });

  test('have no affinity cookie, and every other cookie as it was', () => {
    assert.equal(forwarded({ cookie: 'a=1; stickshift=v1.x;  b="2"' }).cookie, 'a=1;  b="2"');
    assert.ok(!('cookie' in forwarded({ cookie: 'stickshift=v1.x' })));
    assert.equal(forwarded({ cookie: 'a=1' }).cookie, 'a=1');
  });

  test('have no affinity cookie of another pool either', () => {
    const cookie = 'a=1; stickshift-other=v1.x; b=2; stickshift=v1.y';
    assert.equal(forwarded({ cookie }).cookie, 'a=1; b=2');
    assert.equal(forwarded({ cookie: 'stickshift=v1.y; stickshift-other=v1.x' }).cookie, undefined);
  });

  test('leave the request’s own headers untouched', () => {
    const request = { headers: { host: 'a', cookie: 'stickshift=1' }, socket: { remoteAddress: CLIENT } };
    builder.forBackend(request, builder.client(request));
    assert.deepEqual(request.headers, { host: 'a', cookie: 'stickshift=1' });
  });

  test('never carry a hop-by-hop header, whatever comes in', () => {
    const name = fc.oneof(
      fc.constantFrom(...HOP_BY_HOP, 'connection', 'x-a', 'cookie'),
      fc.stringMatching(/^[a-z_-]{1,12}$/),
    );
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (headers) => {
        for (const name of Object.keys(forwarded(headers))) assert.ok(!HOP_BY_HOP.has(name), name);
      }),
    );
  });
});

describe('what a client says about itself', () => {
  const claims = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.test',
    'x-forwarded-port': '1',
    'x-forwarded-prefix': '/admin',
    'x-real-ip': '203.0.113.9',
    forwarded: 'for=203.0.113.9',
  };

  test('is dropped unless it is a trusted proxy', () => {
    assert.deepEqual(forwarded(claims), forwarded({}));
  });

  test('is dropped in the spelling that CGI takes for the same, even through a trusted proxy', () => {
    const disguised = { x_forwarded_for: '203.0.113.9', 'x_real-ip': '203.0.113.9', x_forwarded_prefix: '/' };
    assert.deepEqual(forwarded(disguised), forwarded({}));
    assert.deepEqual(forwarded(disguised, { peer: PROXY }), forwarded({}, { peer: PROXY }));
    assert.equal(forwarded({ x_mine: '1' }).x_mine, '1');
  });

  test('is passed on for a trusted proxy, with its address added', () => {
    assert.deepEqual(forwarded(claims, { peer: PROXY }), {
      ...claims,
      host: 'shop.test',
      'x-forwarded-for': `203.0.113.9, ${PROXY}`,
    });
  });
});

describe('the client', () => {
  const client = (headers: Record<string, string>, remoteAddress: string, encrypted = false) =>
    builder.client({ headers, socket: { remoteAddress, encrypted } });

  test('is the peer, as encrypted as its connection', () => {
    const plain = { address: CLIENT, peer: CLIENT, peerTrusted: false, encrypted: false };
    assert.deepEqual(client({ 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https' }, CLIENT), plain);
    assert.deepEqual(client({ 'x-forwarded-proto': 'http' }, CLIENT, true), { ...plain, encrypted: true });
  });

  test('is told by a trusted proxy', () => {
    const headers = { 'x-forwarded-for': '1.2.3.4, 192.0.2.7', 'x-forwarded-proto': 'https' };
    const told = { address: '192.0.2.7', peer: PROXY, peerTrusted: true, encrypted: true };
    assert.deepEqual(client(headers, PROXY), told);
    assert.deepEqual(client(headers, `::ffff:${PROXY}`), told);
    assert.equal(client({ 'x-forwarded-proto': 'HTTPS, http' }, PROXY).encrypted, true);
    assert.equal(client({ 'x-forwarded-proto': 'wss' }, PROXY).encrypted, true);
    assert.equal(client({ 'x-forwarded-proto': 'http' }, PROXY, true).encrypted, false);
    assert.equal(client({}, PROXY, true).encrypted, true);
  });

  test('has the port that it sees', () => {
    const port = (headers: Record<string, string>, options = {}) =>
      forwarded(headers, options)['x-forwarded-port'];
    assert.equal(port({ host: 'shop.test:8080' }), '8080');
    assert.equal(port({ host: '[::1]' }), '80');
    assert.equal(port({}, { encrypted: true }), '443');
    const told = { host: 'inner:8080', 'x-forwarded-host': 'shop.test', 'x-forwarded-proto': 'https' };
    assert.equal(port(told, { peer: PROXY }), '443');
  });
});
