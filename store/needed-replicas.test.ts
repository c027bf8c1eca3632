import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../config/schema.ts';
import { neededReplicas } from './needed-replicas.ts';

function needed(pools: Record<string, object>): number {
  const complete = Object.entries(pools).map(([name, pool]) => [
    name,
    {
      session: { cookie: 'sid' },
      backends: { 'app-1': { url: 'http://127.0.0.1:3001', agent: 'http://127.0.0.1:9091' } },
      ...pool,
    },
  ]);
  const secret = 's'.repeat(32);
  return neededReplicas(configSchema.parse({ secret, pools: Object.fromEntries(complete) }).pools);
}

test('no replica is needed when no pool has durability replica', () => {
  assert.equal(needed({}), 0);
  assert.equal(needed({ shop: { replicas: 3 }, blog: { durability: 'async' } }), 0);
});

test('the pool that asks for most decides, be it for one route', () => {
  const routes = [{ paths: ['/pay'], durability: 'replica' }];
  assert.equal(needed({ shop: { durability: 'replica' } }), 1);
  assert.equal(needed({ shop: { durability: 'replica' }, blog: { replicas: 2, routes } }), 2);
});
