import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { privateCacheControl } from './private-cache-control.ts';

function rewritten(...headers: string[]): string[] {
  privateCacheControl(headers);
  return headers;
}

const cacheControl = (value: string) => rewritten('Cache-Control', value)[1];

describe('an answer that carries an affinity cookie', () => {
  test('is private when the application says nothing', () => {
    assert.deepEqual(rewritten('X-Mine', '1'), ['X-Mine', '1', 'Cache-Control', 'private']);
  });

  test('is no longer public, and the client’s own cache may do what it might before', () => {
    assert.equal(cacheControl('public, max-age=60'), 'private, max-age=60');
    assert.equal(
      cacheControl('max-age=60, s-maxage=600, must-revalidate'),
      'private, max-age=60, must-revalidate',
    );
    assert.equal(cacheControl('Public,S-MaxAge = 5'), 'private');
  });

  test('stays as private as it was', () => {
    assert.equal(cacheControl('private, max-age=60'), 'private, max-age=60');
    assert.equal(cacheControl('no-store'), 'no-store');
    assert.equal(cacheControl('no-store, public'), 'no-store');
  });

  test('is private when the application was for some headers only', () => {
    assert.equal(cacheControl('private="Set-Cookie, X-A", max-age=60'), 'private, max-age=60');
  });

  test('is private when it may be stored and checked again: the check would answer with this cookie', () => {
    assert.equal(cacheControl('no-cache'), 'private, no-cache');
    assert.equal(cacheControl('no-cache="a, public"'), 'private, no-cache="a, public"');
  });

  test('has one Cache-Control made of all', () => {
    assert.deepEqual(rewritten('Cache-Control', 'public', 'X-Mine', '1', 'cache-control', 'max-age=1'), [
      'X-Mine',
      '1',
      'Cache-Control',
      'private, max-age=1',
    ]);
  });

  test('has nothing that would have a CDN cache it all the same', () => {
    const names = [
      'CDN-Cache-Control',
      'Cloudflare-CDN-Cache-Control',
      'Surrogate-Control',
      'X-Accel-Expires',
    ];
    for (const name of names) assert.deepEqual(rewritten(name, '60'), ['Cache-Control', 'private'], name);
  });

  test('can be stored by no shared cache, whatever the application says', () => {
    const directive = fc.constantFrom(
      'public',
      's-maxage=9',
      'PUBLIC',
      'private="a"',
      'max-age=1',
      'no-cache',
      'no-store',
      '"',
      '=',
      '',
    );
    fc.assert(
      fc.property(fc.array(directive), fc.constantFrom(',', ', ', ' ,'), (directives, separator) => {
        const names = (cacheControl(directives.join(separator)) ?? '').split(', ');
        assert.ok(names.includes('private') || names.includes('no-store'), names.join());
        assert.ok(!names.some((name) => /^(public|s-maxage)/i.test(name)), names.join());
      }),
    );
  });
});
