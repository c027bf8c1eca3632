import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SessionIdRule } from '../../config/schema.ts';
import { sessionIdReader } from './session-id-reader.ts';

const NOW = Date.UTC(2026, 10, 21, 12);

function reader(rule: Partial<SessionIdRule>) {
  return sessionIdReader({ format: 'plain', ...rule });
}

const idOf = (rule: Partial<SessionIdRule>, target: string, headers = {}) =>
  reader(rule).fromRequest(target, headers)?.id;

describe('the session ID of a request', () => {
  test('comes from the cookie, and the first of several counts', () => {
    const one = reader({ cookie: 'PHPSESSID' });
    assert.deepEqual(one.fromRequest('/', { cookie: 'a=1; PHPSESSID=abc; PHPSESSID=def' }), {
      id: 'abc',
      where: 'cookie',
      raw: 'abc',
    });
    assert.equal(one.counts.ambiguous, 1);
  });

  test('is not ambiguous when the cookie is given twice alike', () => {
    const one = reader({ cookie: 'sid' });
    one.fromRequest('/', { cookie: 'sid=abc; sid=abc' });
    assert.equal(one.counts.ambiguous, 0);
  });

  test('comes from a header, whatever the spelling of its name in the rule', () => {
    assert.equal(idOf({ header: 'X-Session' }, '/', { 'x-session': 'abc' }), 'abc');
  });

  test('comes from a query parameter, percent-decoded', () => {
    assert.equal(idOf({ query: 'sid' }, '/cart?a=1&sid=a%2Cb&x=2'), 'a,b');
    assert.equal(idOf({ query: 'sid' }, '/cart?sid=abc'), 'abc');
  });

  test('is not taken from a query parameter of another name, or from the path', () => {
    for (const target of ['/cart?xsid=1&sidx=2&sid', '/sid=1', '/?a=sid=1', '/&sid=1', '/cart;sid=1?']) {
      assert.equal(idOf({ query: 'sid' }, target), undefined, target);
    }
  });

  test('comes from a path parameter, in whichever segment it stands', () => {
    const rule = { pathParameter: 'jsessionid' };
    assert.equal(idOf(rule, '/cart;jsessionid=abc'), 'abc');
    assert.equal(idOf(rule, '/cart;jsessionid=abc?x=1'), 'abc');
    assert.equal(idOf(rule, '/cart;v=2;jsessionid=abc;w=3/items;page=2?jsessionid=no'), 'abc');
    assert.equal(idOf(rule, '/a;v=1/b;jsessionid=abc/c'), 'abc');
  });

  test('is not taken from what only looks like a path parameter', () => {
    const rule = { pathParameter: 'jsessionid' };
    for (const target of [
      '/jsessionid=abc',
      '/x?;jsessionid=abc',
      '/x;JSESSIONID=abc',
      '/x;jsessionid',
      '/x;jsessionid?=a',
    ]) {
      assert.equal(idOf(rule, target), undefined, target);
    }
  });

  test('comes from the first place that has one: cookie, header, query, path', () => {
    const rule = { cookie: 'c', header: 'h', query: 'q', pathParameter: 'p' };
    const target = '/x;p=path?q=query';
    assert.equal(idOf(rule, target, { cookie: 'c=cookie', h: 'header' }), 'cookie');
    assert.equal(idOf(rule, target, { cookie: 'other=1', h: 'header' }), 'header');
    assert.equal(idOf(rule, target), 'query');
    assert.equal(idOf(rule, '/x;p=path'), 'path');
    assert.equal(idOf(rule, target, { cookie: 'c=' }), 'query');
  });

  test('may be 512 characters long, and no longer', () => {
    const one = reader({ cookie: 'sid' });
    assert.equal(one.fromRequest('/', { cookie: `sid=${'a'.repeat(512)}` })?.id.length, 512);
    assert.equal(one.fromRequest('/', { cookie: `sid=${'a'.repeat(513)}` }), undefined);
    assert.equal(one.fromRequest('/', { cookie: `sid=${'a'.repeat(10_000)}` }), undefined);
    assert.equal(one.counts.oversized, 2);
  });

  test('is not dug out of a value that is far longer than it', () => {
    const one = reader({ cookie: 'sid', format: 'express' });
    assert.equal(one.fromRequest('/', { cookie: `sid=s%3Aabc.${'x'.repeat(10_000)}` }), undefined);
    assert.equal(one.counts.oversized, 1);
  });

  test('has no control characters, blanks or anything beyond ASCII, encoded or not', () => {
    const one = reader({ cookie: 'sid' });
    const bad = ['a%00b', 'a%0D%0Ab', 'a b', 'a%20b', 'caf\u00e9', '%C3%A9', '%7F'];
    for (const value of bad) assert.equal(one.fromRequest('/', { cookie: `sid=${value}` }), undefined, value);
    assert.equal(one.counts.malformed, bad.length);
  });

  test('is taken as it stands when it is no percent-encoding', () => {
    assert.equal(idOf({ cookie: 'sid' }, '/', { cookie: 'sid=100%' }), '100%');
  });

  test('is visible ASCII of bounded length or nothing, whatever the client sends', () => {
    const rule = { cookie: 'sid', header: 'x-sid', query: 'sid', pathParameter: 'sid' } as const;
    const dense = fc
      .array(fc.constantFrom('sid', '=', ';', '&', '?', '/', '%', '%0', '%00', '%C3', 's:', '.', 'a', ' '), {
        maxLength: 20,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.constantFrom('plain', 'express', 'tomcat'), dense, dense, (format, target, header) => {
        const found = reader({ ...rule, format }).fromRequest(`/${target}`, {
          cookie: header,
          'x-sid': header,
        });
        if (found) assert.match(found.id, /^[\x21-\x7e]{1,512}$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the express format', () => {
  const rule = { cookie: 'connect.sid', format: 'express' } as const;

  test('takes the ID out of the signed value, encoded or not', () => {
    assert.equal(idOf(rule, '/', { cookie: 'connect.sid=s%3Aab-c_1.c2ln%2Fbmf' }), 'ab-c_1');
    assert.equal(idOf(rule, '/', { cookie: 'connect.sid=s:ab-c_1.c2ln' }), 'ab-c_1');
  });

  test('cuts at the last dot, for the ID may have some', () => {
    assert.equal(idOf(rule, '/', { cookie: 'connect.sid=s%3Aa.b.sig' }), 'a.b');
  });

  test('takes nothing that express-session would not take', () => {
    for (const value of ['abc', 's:', 's:abc', 's:.sig', 'S:abc.sig', 'j:%7B%7D']) {
      assert.equal(idOf(rule, '/', { cookie: `connect.sid=${value}` }), undefined, value);
    }
  });
});

describe('the tomcat format', () => {
  test('strips the route', () => {
    const rule = { cookie: 'JSESSIONID', pathParameter: 'jsessionid', format: 'tomcat' } as const;
    assert.equal(idOf(rule, '/', { cookie: 'JSESSIONID=ABC.node1' }), 'ABC');
    assert.equal(idOf(rule, '/cart;jsessionid=ABC.node1.x?y'), 'ABC');
    assert.equal(idOf(rule, '/', { cookie: 'JSESSIONID=ABC' }), 'ABC');
    assert.equal(idOf(rule, '/', { cookie: 'JSESSIONID=.node1' }), undefined);
  });
});

describe('the session ID of an answer', () => {
  const one = reader({ cookie: 'sid', header: 'X-Session' });
  const from = (...lines: string[]) => one.fromResponse({ 'set-cookie': lines }, NOW);

  test('is what Set-Cookie sets', () => {
    assert.deepEqual(from('other=1', 'sid=abc; Path=/; HttpOnly'), { id: 'abc' });
  });

  test('is left alone by other cookies', () => {
    assert.equal(from('other=sid=1', 'sidx=1', 'xsid=2'), undefined);
    assert.equal(one.fromResponse({}, NOW), undefined);
  });

  test('is the last one set, as in the browser', () => {
    assert.deepEqual(from('sid=old', 'sid=new'), { id: 'new' });
  });

  test('is deleted by an empty value, by Max-Age and by Expires', () => {
    assert.deepEqual(from('sid=; Path=/'), { deleted: true });
    assert.deepEqual(from('sid=deleted; Max-Age=0'), { deleted: true });
    assert.deepEqual(from('sid=deleted; Max-Age=-1'), { deleted: true });
    assert.deepEqual(from('sid=deleted; Expires=Thu, 01 Jan 1970 00:00:01 GMT'), { deleted: true });
  });

  test('is not deleted by an Expires to come, or one that Max-Age overrides', () => {
    assert.deepEqual(from('sid=abc; Expires=Sat, 21 Nov 2026 12:00:01 GMT'), { id: 'abc' });
    assert.deepEqual(from('sid=abc; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=60'), { id: 'abc' });
  });

  test('stays set when the cookie of another path is deleted beside it', () => {
    assert.deepEqual(from('sid=abc; Path=/', 'sid=; Path=/old; Max-Age=0'), { id: 'abc' });
    assert.deepEqual(from('sid=; Path=/old; Max-Age=0', 'sid=abc; Path=/'), { id: 'abc' });
  });

  test('may be in a header', () => {
    assert.deepEqual(one.fromResponse({ 'x-session': 'abc' }, NOW), { id: 'abc' });
    assert.deepEqual(one.fromResponse({ 'x-session': '' }, NOW), { deleted: true });
  });

  test('is read by the format', () => {
    const express = reader({ cookie: 'connect.sid', format: 'express' });
    const line = 'connect.sid=s%3Aabc.sig; Path=/; HttpOnly';
    assert.deepEqual(express.fromResponse({ 'set-cookie': [line] }, NOW), { id: 'abc' });
  });

  test('is the one that the next request will bring', () => {
    const characters = 'abcXYZ019-_,.~!*';
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 64 }), (id) => {
        const express = reader({ cookie: 'sid', format: 'express' });
        const value = encodeURIComponent(`s:${id}.sig`);
        assert.deepEqual(express.fromResponse({ 'set-cookie': [`sid=${value}; Path=/`] }, NOW), { id });
        assert.equal(express.fromRequest('/', { cookie: `sid=${value}` })?.id, id);
      }),
    );
  });
});
