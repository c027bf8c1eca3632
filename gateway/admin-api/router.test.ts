import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AdminRouter, type Route } from './router.ts';

const route = (method: Route['method'], path: string): Route => ({ method, path, handle: () => undefined });
const list = route('GET', '/v1/things');
const one = route('GET', '/v1/things/:id');
const change = route('POST', '/v1/things/:id');
const router = new AdminRouter([list, one, change]);

describe('the router of the admin API', () => {
  test('finds a route by method and path, with ID and query', () => {
    assert.equal(router.find('GET', '/v1/things').route, list);
    const found = router.find('POST', '/v1/things/a.b-1?pool=shop&x=1');
    assert.equal(found.route, change);
    assert.equal(found.id, 'a.b-1');
    assert.equal(found.query.get('pool'), 'shop');
  });

  test('decodes the ID', () => {
    assert.equal(router.find('GET', '/v1/things/a%2Fb').id, 'a/b');
  });

  test('answers HEAD where there is a GET', () => {
    assert.equal(router.find('HEAD', '/v1/things').route, list);
  });

  test('keeps the whole of a query that holds question marks', () => {
    assert.equal(router.find('GET', '/v1/things?pool=a?b').query.get('pool'), 'a?b');
  });

  for (const path of ['/', '/v1/things/', '/v1/things/a/b', '/v1/thingsx', '/V1/things', '']) {
    test(`finds nothing at ${JSON.stringify(path)}`, () => {
      assert.throws(() => router.find('GET', path), { code: 'NOT_FOUND' });
    });
  }

  test('tells a path that takes other methods from one that is not there', () => {
    assert.throws(() => router.find('DELETE', '/v1/things/a'), { code: 'METHOD_REFUSED' });
    assert.equal(router.methodsOf('/v1/things/a?x'), 'GET, HEAD, POST');
  });

  test('refuses an ID that is not well encoded', () => {
    assert.throws(() => router.find('GET', '/v1/things/%ff'), { code: 'BAD_REQUEST' });
  });
});
