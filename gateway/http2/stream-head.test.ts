import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http2';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ErrorCode, StickshiftError } from '../../protocol/errors.ts';
import { checkRequest } from '../forwarding/request-check.ts';
import { asHttp1 } from './stream-head.ts';

type Fields = readonly (readonly [string, string])[];

const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'shop.example'],
  [':path', '/cart?a=b'],
];

/** Joins what Node joins, in so far as a test here repeats a field. */
function received(fields: Fields, { ended = true, limit = 16_384 } = {}) {
  const headers: IncomingHttpHeaders = Object.create(null);
  for (const [name, value] of fields) {
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (name === 'cookie') headers[name] = `${known}; ${value}`;
  }
  return { headers, rawHeaders: fields.flat(), ended, limit };
}

const refusal = (fields: Fields, options = {}): ErrorCode | undefined => {
  try {
    asHttp1(received(fields, options));
    return undefined;
  } catch (error) {
    return (error as StickshiftError).code;
  }
};

describe('the head of an HTTP/2 request', () => {
  test('becomes one of HTTP/1.1, with its authority as Host', () => {
    const head = asHttp1(received([...GET, ['cookie', 'a=1'], ['cookie', 'b=2'], ['te', 'trailers']]));
    assert.deepEqual([head.method, head.url, head.httpVersion], ['GET', '/cart?a=b', '1.1']);
    assert.deepEqual({ ...head.headers }, { cookie: 'a=1; b=2', host: 'shop.example' });
    assert.deepEqual(head.rawHeaders, ['cookie', 'a=1', 'cookie', 'b=2', 'host', 'shop.example']);
    assert.equal(checkRequest(head).target, '/cart?a=b');
  });

  test('has chunks where a body follows whose length it does not say', () => {
    assert.equal(asHttp1(received(GET, { ended: false })).headers['transfer-encoding'], 'chunked');
    const measured = asHttp1(received([...GET, ['content-length', '3']], { ended: false }));
    assert.equal(measured.headers['transfer-encoding'], undefined);
    assert.equal(asHttp1(received(GET)).headers['transfer-encoding'], undefined);
  });

  // nghttp2 refuses most of these before; that is no reason to depend on it.
  for (const field of [
    ['connection', 'close'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'close'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['http2-settings', ''],
    ['te', 'gzip'],
    ['host', 'evil.example'],
    ['X-Upper', 'a'],
    ['x y', 'a'],
    ['x:y', 'a'],
    ['', 'a'],
    [':evil', 'a'],
    [':status', '200'],
    ['x', 'a\r\nb: c'],
    ['x', 'a\nb'],
    ['x', 'a\0'],
    ['content-length', '1'],
  ] as const) {
    test(`is refused with ${JSON.stringify(field.join(': '))}`, () => {
      assert.equal(refusal([...GET, field]), 'BAD_REQUEST');
    });
  }

  test('is refused when it is of a tunnel, or too large', () => {
    const others = GET.filter(([name]) => name !== ':method');
    assert.equal(refusal([[':method', 'CONNECT'], ...others]), 'METHOD_REFUSED');
    assert.equal(refusal([[':method', 'CONNECT'], ...others, [':protocol', 'websocket']]), 'METHOD_REFUSED');
    assert.equal(refusal([...GET, ['x', 'y'.repeat(100)]], { limit: 100 }), 'HEAD_TOO_LARGE');
  });

  test('is never read in two ways: what passes names one host, one target, and no line more than it has fields', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aZ0:/.*?#@ \t\r\n\0é'), maxLength: 6 });
    const value = fc.oneof(
      text,
      fc.constantFrom('https', 'http', '/', '*', 'GET', 'OPTIONS', 'a.example', 'b.example'),
    );
    const name = fc.oneof(
      text,
      fc.constantFrom(':method', ':path', ':scheme', ':authority', 'host', 'te', 'x', 'cookie'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), fc.boolean(), (fields, ended) => {
        const all: Fields = [[':method', 'GET'], [':scheme', 'https'], [':path', '/'], ...fields];
        let head: ReturnType<typeof asHttp1>;
        try {
          head = asHttp1(received(all, { ended }));
        } catch (error) {
          assert.match((error as StickshiftError).code, /^(BAD_REQUEST|METHOD_REFUSED|HEAD_TOO_LARGE)$/);
          return;
        }
        assert.ok(head.url === '*' || head.url.startsWith('/'));
        assert.ok(head.rawHeaders.filter((field, index) => index % 2 === 0 && field === 'host').length <= 1);
        for (const [field, content] of Object.entries(head.headers)) {
          assert.doesNotMatch(`${field}${content}`, /[\r\n\0]/);
          assert.doesNotMatch(field, /[:A-Z\s]/);
        }
      }),
    );
  });
});
