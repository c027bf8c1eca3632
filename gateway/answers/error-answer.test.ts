import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ERROR_KINDS, type ErrorCode, StickshiftError } from '../../protocol/errors.ts';
import { acceptedForm } from './accepted-form.ts';
import { errorAnswer } from './error-answer.ts';
import { proxyStatus } from './proxy-status.ts';

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[];
const code = fc.constantFrom(...CODES);

describe('an error answer', () => {
  const answer = (errorCode: ErrorCode, accept?: string) =>
    errorAnswer(new StickshiftError(errorCode, 'for the log'), { accept, requestId: 'abc123' });

  test('has the code’s status and says so in Proxy-Status', () => {
    for (const errorCode of CODES) {
      const { status, headers } = answer(errorCode);
      assert.equal(status, ERROR_KINDS[errorCode].status);
      assert.equal(headers['Proxy-Status'], proxyStatus(errorCode));
      assert.equal(headers['Cache-Control'], 'no-store');
    }
  });

  test('says when to come back, only when coming back is safe', () => {
    assert.equal(answer('NO_BACKEND').headers['Retry-After'], '1');
    assert.equal(answer('COMMIT_UNKNOWN').headers['Retry-After'], undefined);
    assert.equal(answer('BACKEND_RESET').headers['Retry-After'], undefined);
  });

  test('says how long to wait where that is known, in whole seconds that are long enough', () => {
    for (const [retryAfterMs, seconds] of [
      [4_001, '5'],
      [4_000, '4'],
      [20, '1'],
      [0, '1'],
    ] as const) {
      const error = new StickshiftError('SESSION_UNKNOWN', 'the store is settling', { retryAfterMs });
      assert.equal(errorAnswer(error, {}).headers['Retry-After'], seconds);
    }
  });

  test('tells apart in Proxy-Status why a change was withheld or a session not served', () => {
    const codes = ['COMMIT_FENCED', 'COMMIT_ENDED', 'COMMIT_UNKNOWN', 'SNAPSHOT_TOO_OLD'] as const;
    const values = codes.map((errorCode) => answer(errorCode).headers['Proxy-Status']);
    assert.deepEqual(
      values,
      codes.map((code) => `stickshift; error=proxy_internal_error; details="${code}"`),
    );
  });

  test('says what its status demands: Allow with 405, WWW-Authenticate with 401', () => {
    assert.match(answer('METHOD_REFUSED').headers.Allow ?? '', /\bGET\b/);
    assert.equal(answer('UNAUTHORIZED').headers['WWW-Authenticate'], 'Bearer');
  });

  test('is a problem document for programs', () => {
    const { headers, body } = answer('NO_BACKEND', 'application/json');
    assert.equal(headers['Content-Type'], 'application/problem+json');
    assert.deepEqual(JSON.parse(body), {
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      detail: 'No app server is available.',
      code: 'NO_BACKEND',
      retrySafe: true,
      requestId: 'abc123',
    });
  });

  test('is a page for browsers and text for whoever asks for that, each with the code and the request ID', () => {
    const html = answer('NO_BACKEND', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8');
    assert.match(html.headers['Content-Type'] ?? '', /^text\/html/);
    assert.match(html.body, /^<!doctype html>.*No app server is available\..*NO_BACKEND.*abc123/s);
    const text = answer('NO_BACKEND', 'text/plain');
    assert.match(text.headers['Content-Type'] ?? '', /^text\/plain/);
    assert.equal(
      text.body,
      'Service Unavailable\n\nNo app server is available.\nNO_BACKEND, request ID abc123\n',
    );
  });

  test('does without a request ID', () => {
    for (const accept of ['text/html', 'text/plain', '*/*']) {
      const { headers, body } = errorAnswer(new StickshiftError('INTERNAL', ''), { accept });
      assert.ok(!/request.?id/i.test(body), body);
      assert.equal(headers['X-Request-Id'], undefined);
    }
  });

  test('writes no markup that came in with the request ID', () => {
    const { body } = errorAnswer(new StickshiftError('INTERNAL', ''), {
      accept: 'text/html',
      requestId: '<script>',
    });
    assert.ok(!body.includes('<script>'));
  });

  test('never shows what the error says to the operator, its cause or its stack', () => {
    const secret = fc.stringMatching(/^10\.\d{1,3}\.\d{1,3}\.\d{1,3}:\d{4} app-\d{3}$/);
    fc.assert(
      fc.property(
        code,
        secret,
        fc.constantFrom('text/html', 'text/plain', '*/*', undefined),
        (errorCode, message, accept) => {
          const error = new StickshiftError(errorCode, message, { cause: new Error(message) });
          const shown = JSON.stringify(errorAnswer(error, { accept, requestId: 'abc123' }));
          for (const part of message.split(' ')) assert.ok(!shown.includes(part), shown);
          assert.ok(!shown.includes('.ts:') && !shown.includes('    at '), shown);
        },
      ),
    );
  });

  test('has no header value that would break a head', () => {
    for (const errorCode of CODES) {
      for (const value of Object.values(answer(errorCode).headers)) assert.match(value, /^[\x20-\x7e]+$/);
    }
  });
});

describe('Proxy-Status', () => {
  test('gives every error a type and details of its own', () => {
    const values = CODES.map(proxyStatus);
    for (const value of values) assert.match(value, /^stickshift; error=[a-z_]+; details="[A-Z_]+"$/);
    assert.equal(new Set(values).size, CODES.length);
  });

  test('uses the types of RFC 9209 for what they are made for', () => {
    assert.equal(
      proxyStatus('NO_BACKEND'),
      'stickshift; error=destination_unavailable; details="NO_BACKEND"',
    );
    assert.equal(
      proxyStatus('CONNECT_FAILED'),
      'stickshift; error=connection_refused; details="CONNECT_FAILED"',
    );
    assert.equal(
      proxyStatus('SESSION_UNKNOWN'),
      'stickshift; error=proxy_internal_error; details="SESSION_UNKNOWN"',
    );
  });
});

describe('the accepted form', () => {
  test('is the one liked best, the first of equals', () => {
    assert.equal(acceptedForm('text/plain;q=0.5, text/html;q=0.9, application/json;q=0.8'), 'html');
    assert.equal(acceptedForm('text/plain, text/html'), 'text');
    assert.equal(acceptedForm('TEXT/HTML; charset=utf-8; Q=0.3, text/plain; q=0.2'), 'html');
  });

  test('is JSON when the client does not say, takes anything, or likes none', () => {
    for (const accept of [undefined, '', '*/*', 'image/png', 'text/html;q=0', ';;;,,,']) {
      assert.equal(acceptedForm(accept), 'json', String(accept));
    }
  });

  test('is found in anything', () => {
    fc.assert(fc.property(fc.string(), (accept) => ['json', 'html', 'text'].includes(acceptedForm(accept))));
    for (const accept of ['constructor', '__proto__']) assert.equal(acceptedForm(accept), 'json');
  });
});
