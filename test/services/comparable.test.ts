import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { affinityCookies, comparableAnswer } from './comparable.ts';

const compared = (lines: readonly string[], body = '') =>
  comparableAnswer({ status: 200, lines: ['HTTP/1.1 200 OK', ...lines], headers: [], body, trailers: [] });
const headers = (...lines: readonly string[]) => compared(lines).lines.slice(1);

describe('of two answers', () => {
  test('the date is not compared when it is of now, and is when the app may have set it', () => {
    assert.deepEqual(headers(`Date: ${new Date().toUTCString()}`), ['Date: <now>']);
    const old = 'Date: Mon, 01 Jan 2024 00:00:00 GMT';
    assert.deepEqual(headers(old, 'date: soon'), [old, 'date: soon']);
  });

  test('what an affinity cookie says is compared, and whether it is a good one', () => {
    const binding = { backend: 'app-1', epoch: 3, session: 7, stamp: undefined };
    const value = (ago: number) => affinityCookies.issue({ ...binding, now: Date.now() - ago });
    const says = 'Set-Cookie: stickshift=<app-1, epoch 3, session 7, not confirmed>; Path=/';
    assert.deepEqual(headers(`Set-Cookie: stickshift=${value(0)}; Path=/`), [says]);
    assert.deepEqual(headers(`Set-Cookie: stickshift=${value(60_000)}; Path=/`), [says]);
    assert.match(headers(`Set-Cookie: stickshift=${value(0)}x`)[0] ?? '', /<malformed: v1\./);
  });

  test('the request ID is not compared, wherever it stands', () => {
    const { lines, body } = compared(['X-Request-Id: 0123456789abcdef'], '"requestId":"0123456789abcdef"');
    assert.deepEqual([lines[1], body], ['X-Request-Id: <request id>', '"requestId":"<request id>"']);
    assert.deepEqual(headers('X-Request-Id: mine'), ['X-Request-Id: mine']);
  });

  test('everything else is compared as it is', () => {
    const lines = ['content-length: 2', 'X-Mine:  a', 'Set-Cookie: a=1', 'Connection: close'];
    assert.deepEqual(headers(...lines), lines);
    assert.equal(compared([], 'ok\0').body, 'ok\0');
  });
});
