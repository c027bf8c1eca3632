import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HOP_BY_HOP } from './hop-by-hop.ts';
import { backendResponseHeaders } from './response-headers.ts';

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
