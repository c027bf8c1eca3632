import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readRequests } from '../../test/services/strict-http.ts';
import { END_OF_HEAD } from './head-end.ts';
import { RequestHeadReader } from './request-head.ts';
import { damaged } from './testing/octet-streams.ts';
import { requestHeads } from './testing/request-heads.ts';

const HOST = 'Host: shop.test';

/** A head of these lines. */
const head = (...lines: readonly string[]) => `${lines.join('\r\n')}${END_OF_HEAD}`;
const get = (...lines: readonly string[]) => head('GET / HTTP/1.1', HOST, ...lines);

const newReader = () => new RequestHeadReader(['x-session']);

/** What is read of a head; `undefined` when it is not for this lane. */
function read(text: string, reader = newReader()) {
  const end = text.indexOf(END_OF_HEAD);
  if (end === -1 || !reader.read(text, end)) return undefined;
  const { method, target, headers, contentLength, keepAlive, lines } = reader;
  const fields = Array.from({ length: lines.count }, (_, index) => [
    lines.name(index).lower,
    lines.value(text, index),
  ]);
  return { method, target, headers, contentLength, keepAlive, fields };
}

describe('a request head', () => {
  test('is read, and of its headers those that decisions need', () => {
    const text = head(
      'POST /cart?a=b HTTP/1.1',
      'host: shop.test:8080',
      'Cookie:a=1',
      'X-Session: \tabc ',
      'X-Mine: 1',
      'Content-Length: 5',
      'Connection: Close',
    );
    assert.deepEqual(read(text), {
      method: 'POST',
      target: '/cart?a=b',
      headers: { host: 'shop.test:8080', cookie: 'a=1', accept: undefined, 'x-session': 'abc' },
      contentLength: 5,
      keepAlive: false,
      fields: [
        ['host', 'shop.test:8080'],
        ['cookie', 'a=1'],
        ['x-session', 'abc'],
        ['x-mine', '1'],
        ['content-length', '5'],
        ['connection', 'Close'],
      ],
    });
  });

  test('keeps its connection and has no body when it does not say otherwise', () => {
    for (const text of [get(), get('Connection: keep-alive'), get('Connection: Keep-Alive')]) {
      assert.partialDeepStrictEqual(read(text), { keepAlive: true, contentLength: -1 });
    }
    assert.partialDeepStrictEqual(read(get('Content-Length: 0')), { contentLength: 0 });
  });

  for (const [what, text] of [
    ['a method that is no ordinary one', head('TRACE / HTTP/1.1', HOST)],
    ['CONNECT', head('CONNECT shop.test:443 HTTP/1.1', HOST)],
    ['a method in small letters', head('get / HTTP/1.1', HOST)],
    ['a target in absolute form', head('GET http://shop.test/ HTTP/1.1', HOST)],
    ['a target that is *', head('OPTIONS * HTTP/1.1', HOST)],
    ['a fragment', head('GET /#a HTTP/1.1', HOST)],
    ['a target beyond ASCII', head('GET /\xe9 HTTP/1.1', HOST)],
    ['a blank in its target', head('GET /a b HTTP/1.1', HOST)],
    ['no target', head('GET HTTP/1.1', HOST)],
    ['two blanks in its first line', head('GET  / HTTP/1.1', HOST)],
    ['HTTP/1.0', head('GET / HTTP/1.0', HOST)],
    ['a blank behind the version', head('GET / HTTP/1.1 ', HOST)],
    ['an empty line before it', `\r\n${get()}`],
    ['a bare LF behind its first line', 'GET / HTTP/1.1\nHost: shop.test\r\n\r\n'],
    ['no Host', head('GET / HTTP/1.1')],
    ['an empty Host', head('GET / HTTP/1.1', 'Host:')],
    ['a Host that is none', head('GET / HTTP/1.1', 'Host: a b')],
    ['two Hosts', get('host: shop.test')],
    ['two lengths', get('Content-Length: 1', 'content-length: 1')],
    ['a length that is no plain number', get('Content-Length: +1')],
    ['a length of nothing', get('Content-Length:')],
    ['a length that nobody can count to', get(`Content-Length: ${'9'.repeat(16)}`)],
    ['chunks', get('Transfer-Encoding: chunked')],
    ['chunks and a length', get('Content-Length: 1', 'Transfer-Encoding: chunked')],
    ['an upgrade', get('Upgrade: websocket', 'Connection: Upgrade')],
    ['Upgrade alone', get('Upgrade: h2c')],
    ['HTTP2-Settings', get('HTTP2-Settings: AAMAAABk')],
    ['Expect', get('Expect: 100-continue')],
    ['Proxy-Connection', get('Proxy-Connection: close')],
    ['a Connection that names a header', get('Connection: keep-alive, X-Mine')],
    ['an empty Connection', get('Connection:')],
    ['a header of any name twice', get('X-Mine: 1', 'x-mine: 1')],
    ['a cookie in two headers', get('Cookie: a=1', 'Cookie: b=2')],
    ['a header that an object puts elsewhere', get('7: 1')],
    ['a header that means something else to an object', get('__proto__: 1')],
    ['a blank before a colon', get('X-Mine : 1')],
    ['a folded header', get('X-Mine: 1', ' 2')],
    ['a control octet in a header', get('X-Mine: \x01')],
    ['more headers than any', get(...Array.from({ length: 128 }, (_, index) => `X-${index}: 1`))],
  ] as const) {
    test(`with ${what} is for the full lane`, () => {
      assert.equal(read(text), undefined);
    });
  }

  test('may have as many headers as any', () => {
    const most = get(...Array.from({ length: 127 }, (_, index) => `X-${index}: 1`));
    assert.equal(read(most)?.fields.length, 128);
  });

  test('that is taken is read the same by whoever forgives nothing', () => {
    let taken = 0;
    fc.assert(
      fc.property(damaged(requestHeads), (text) => {
        const request = read(text);
        if (!request) return;
        taken += 1;
        const length = Math.max(0, request.contentLength);
        // More than anybody should send in a test: the head alone is read then.
        fc.pre(length < 10_000);
        const message = text.slice(0, text.indexOf(END_OF_HEAD) + END_OF_HEAD.length) + 'x'.repeat(length);
        const { messages, rest, violation } = readRequests(Buffer.from(message, 'latin1'));
        assert.deepEqual([messages.length, rest, violation], [1, '', undefined]);
        assert.partialDeepStrictEqual(messages[0], { method: request.method, target: request.target });
        assert.deepEqual(messages[0]?.headers, request.fields);
        assert.equal(messages[0]?.body.length, length);
      }),
      { numRuns: 2_000 },
    );
    assert.ok(taken > 100, `only ${taken} were taken`);
  });

  test('is read as if none had been read before', () => {
    fc.assert(
      fc.property(fc.array(damaged(requestHeads), { maxLength: 6 }), (texts) => {
        const reader = newReader();
        for (const text of texts) assert.deepEqual(read(text, reader), read(text));
      }),
    );
  });

  test('with a header twice is for the full lane, whatever other names have come by', () => {
    const reader = newReader();
    const twice = get('authorization: one', 'Authorization: two');
    assert.equal(read(twice, reader), undefined);
    for (let round = 0; round < 50; round++) {
      const madeUp = Array.from({ length: 100 }, (_, index) => `X-${round}-${index}: 1`);
      assert.ok(read(get('authorization: one', ...madeUp), reader));
    }
    assert.equal(read(twice, reader), undefined);
  });

  test('can be read again, after others', () => {
    const reader = newReader();
    const text = get('X-Mine: 1');
    assert.ok(read(text, reader));
    assert.equal(read(get('X-Mine: 1', 'X-Mine: 2'), reader), undefined);
    assert.deepEqual(read(text, reader), read(text));
  });

  test('has the headers that it has, and not those of the one before', () => {
    const reader = newReader();
    assert.ok(read(get('X-Mine: 1', 'Accept: */*'), reader));
    assert.ok(read(get('X-Other: 1', 'COOKIE: a=1'), reader));
    assert.deepEqual(
      ['host', 'x-other', 'cookie', 'x-mine', 'accept', 'x-nobodys'].filter((name) => reader.has(name)),
      ['host', 'x-other', 'cookie'],
    );
  });
});

test('a head that repeats the fields of the one before is read as if it were the first', () => {
  const line = fc.constantFrom(
    'GET / HTTP/1.1',
    'POST /cart?a=b HTTP/1.1',
    'GET /a b HTTP/1.1',
    'TRACE / HTTP/1.1',
  );
  fc.assert(
    fc.property(requestHeads, requestHeads, line, fc.boolean(), (first, other, requestLine, isSame) => {
      const reader = newReader();
      const end = first.indexOf(END_OF_HEAD);
      if (!reader.read(first, end)) return;
      const last = reader.fields(first, end);
      const second = isSame ? requestLine + first.slice(first.indexOf('\r\n')) : other;
      const whole = (
        isRead: boolean,
        { method, target, headers, contentLength, keepAlive, lineEnd } = reader,
      ) => isRead && { method, target, headers, contentLength, keepAlive, lineEnd };
      const secondEnd = second.indexOf(END_OF_HEAD);
      const fresh = newReader();
      const expected = whole(fresh.read(second, secondEnd), fresh);
      assert.deepEqual(whole(reader.read(second, secondEnd, last)), expected);
      if (expected && isSame) assert.ok(reader.isRepeated);
      if (expected && !isSame && second.slice(reader.lineEnd) !== first.slice(first.indexOf('\r\n') + 2))
        assert.ok(!reader.isRepeated);
    }),
  );
});
