import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HOP_BY_HOP } from './hop-by-hop.ts';
import { announcesVoidBody, backendResponseHeaders, mayHaveBody } from './response-headers.ts';

describe('the headers of a backend’s answer', () => {
  test('keep their order, spelling and number', () => {
    const raw = ['Set-Cookie', 'a=1', 'X-Mine', '1', 'set-cookie', 'b=2', 'Vary', 'A', 'Vary', 'B'];
    assert.deepEqual(backendResponseHeaders(raw), raw);
  });

  test('lose those of the connection, and what Connection names', () => {
    const raw = [
      'Connection',
      'close, X-Mine',
      'X-Mine',
      '1',
      'Keep-Alive',
      'timeout=5',
      'CONNECTION',
      'x-other',
    ];
    assert.deepEqual(backendResponseHeaders([...raw, 'X-Other', '2', 'X-Kept', '3']), ['X-Kept', '3']);
  });

  test('keep what an answer cannot do without, even when Connection names it', () => {
    const raw = ['Set-Cookie', 'a=1', 'Content-Length', '5'];
    assert.deepEqual(backendResponseHeaders(['Connection', 'set-cookie, content-length', ...raw]), raw);
  });

  test('lose a Content-Length that chunks override', () => {
    const raw = ['Content-Length', '5', 'Transfer-Encoding', 'chunked', 'X-Kept', '1'];
    assert.deepEqual(backendResponseHeaders(raw), ['X-Kept', '1']);
  });

  test('are otherwise what the backend sent, whatever that is', () => {
    const name = fc.oneof(
      fc.constantFrom('Connection', 'TE', 'Upgrade', 'Set-Cookie'),
      fc.stringMatching(/^[A-Za-z-]{1,12}$/),
    );
    const value = fc.constantFrom('close', 'a', 'set-cookie', 'x-b');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const kept = backendResponseHeaders(pairs.flat());
        const named = new Set<string>(
          pairs.filter(([name]) => /^connection$/i.test(name)).map(([, value]) => value),
        );
        const expected = pairs.filter(
          ([name]) =>
            !HOP_BY_HOP.has(name.toLowerCase()) &&
            (name.toLowerCase() === 'set-cookie' || !named.has(name.toLowerCase())),
        );
        assert.deepEqual(kept, expected.flat());
      }),
    );
  });
});

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const STATUSES = [100, 101, 103, 200, 204, 205, 206, 304, 404, 500] as const;

describe('the body of a backend’s answer', () => {
  test('is one that there may be, by method and status alone', () => {
    const without = STATUSES.filter((status) => !mayHaveBody('GET', status));
    assert.deepEqual(without, [100, 101, 103, 204, 304]);
    for (const status of STATUSES) {
      assert.equal(mayHaveBody('HEAD', status), false);
      for (const method of METHODS.slice(2)) {
        assert.equal(mayHaveBody(method, status), mayHaveBody('GET', status));
      }
    }
  });

  test('is announced in vain when the answer has chunks or a length, and no body', () => {
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ] as const) {
      const isVoid = (contentLength: number | undefined, isChunked: boolean) =>
        announcesVoidBody(method, status, { contentLength, isChunked });
      assert.deepEqual(
        [isVoid(5, false), isVoid(undefined, true), isVoid(0, true)],
        [true, true, true],
        method,
      );
      assert.deepEqual([isVoid(0, false), isVoid(undefined, false)], [false, false], method);
    }
  });

  test('is never announced in vain by an answer that may have one', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...METHODS),
        fc.constantFrom(...STATUSES),
        fc.record({ contentLength: fc.option(fc.nat(), { nil: undefined }), isChunked: fc.boolean() }),
        (method, status, framing) => {
          fc.pre(mayHaveBody(method, status));
          assert.equal(announcesVoidBody(method, status, framing), false);
        },
      ),
    );
  });
});
