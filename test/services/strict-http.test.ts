import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readAllResponses, readRequests, readResponses } from './strict-http.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('the strict request reader', () => {
  test('tells two requests apart and says what is left over', () => {
    const reading = readRequests(
      bytes(
        'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c',
      ),
    );
    assert.deepEqual(
      reading.messages.map(({ method, target, body }) => [method, target, body]),
      [
        ['POST', '/a', 'abc'],
        ['GET', '/b', ''],
      ],
    );
    assert.equal(reading.rest, 'GET /c');
    assert.equal(reading.violation, undefined);
  });

  test('puts chunks together and keeps trailers apart from headers', () => {
    const [request] = readRequests(
      bytes(
        'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n',
      ),
    ).messages;
    assert.equal(request?.body, 'abcd');
    assert.deepEqual(request?.trailers, [['t', '1']]);
  });

  for (const [name, text] of [
    ['a second length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a bare LF', 'GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n'],
    ['a bare CR', 'GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n'],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
    [
      'a chunk extension',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nb\r\n0\r\n\r\n',
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['a body without a length', 'GET / HTTP/1.1\r\nHost: x\r\n\r\nhello\r\n'],
  ] as const) {
    test(`calls ${name} a violation`, () => {
      assert.notEqual(readRequests(bytes(text)).violation, undefined);
    });
  }

  test('finds no violation in any part of a sound request', () => {
    const request = bytes(
      'POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n',
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: request.length - 1 }), (length) => {
        const reading = readRequests(request.subarray(0, length));
        assert.deepEqual([reading.messages.length, reading.violation], [0, undefined]);
      }),
    );
  });
});

describe('the strict response reader', () => {
  test('passes over interim responses and knows that HEAD has no body', () => {
    const reading = readResponses(
      bytes(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
      ),
      ['HEAD', 'GET'],
      false,
    );
    assert.deepEqual(
      reading.messages.map(({ status }) => status),
      [200, 204],
    );
    assert.equal(reading.rest, '');
  });

  test('gives interim responses when asked for all, and heads as they were received', () => {
    const text = 'HTTP/1.1 103 Early Hints\r\nlink:a\r\n\r\nHTTP/1.1 204 No\r\nX-Mine:  b \r\n\r\n';
    assert.deepEqual(
      readAllResponses(bytes(text), [], false).messages.map(({ lines }) => lines),
      [
        ['HTTP/1.1 103 Early Hints', 'link:a'],
        ['HTTP/1.1 204 No', 'X-Mine:  b '],
      ],
    );
  });

  test('a body of unknown length ends with the connection', () => {
    const text = bytes('HTTP/1.1 200 OK\r\n\r\nhello');
    assert.equal(readResponses(text, ['GET'], false).messages.length, 0);
    assert.equal(readResponses(text, ['GET'], true).messages[0]?.body, 'hello');
  });
});
