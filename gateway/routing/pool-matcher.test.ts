import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../config/schema.ts';
import { Pool } from '../backends/pool.ts';
import { PoolMatcher } from './pool-matcher.ts';

function matcher(rules: Record<string, { hosts?: string[]; paths?: string[] }>): PoolMatcher {
  const config = configSchema.parse({
    secret: 'a secret for tests, thirty-two long',
    pools: Object.fromEntries(
      Object.entries(rules).map(([name, match]) => [
        name,
        {
          match,
          session: { cookie: 'sid' },
          backends: { [`${name}-1`]: { url: 'http://127.0.0.1:1', agent: 'http://127.0.0.1:2' } },
        },
      ]),
    ),
  });
  return new PoolMatcher(
    Object.entries(config.pools).map(([name, pool]) => new Pool(name, pool, new Uint8Array(32))),
  );
}

test('a pool without rules serves everything', () => {
  assert.equal(matcher({ shop: {} }).match('example.org', '/any?x')?.name, 'shop');
  assert.equal(matcher({ shop: {} }).match(undefined, '/')?.name, 'shop');
});

test('a named host wins over any host, whatever its case and port', () => {
  const pools = matcher({ rest: {}, admin: { hosts: ['Admin.example.org'] } });
  assert.equal(pools.match('admin.EXAMPLE.org:8080', '/')?.name, 'admin');
  assert.equal(pools.match('www.example.org', '/')?.name, 'rest');
});

test('the longest path prefix wins, and ends where a segment ends', () => {
  const pools = matcher({ rest: {}, shop: { paths: ['/shop'] }, cart: { paths: ['/shop/cart/'] } });
  assert.equal(pools.match('h', '/shop')?.name, 'shop');
  assert.equal(pools.match('h', '/shop?x=1')?.name, 'shop');
  assert.equal(pools.match('h', '/shop;jsessionid=1')?.name, 'shop');
  assert.equal(pools.match('h', '/shopping')?.name, 'rest');
  assert.equal(pools.match('h', '/shop/cart/1')?.name, 'cart');
});

test('nothing matches when every pool names another host', () => {
  assert.equal(matcher({ shop: { hosts: ['a.example'] } }).match('b.example', '/'), undefined);
});
