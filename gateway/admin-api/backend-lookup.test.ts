import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testPool } from '../testing/test-pool.ts';
import type { BackendStatus } from './admin-api-types.ts';
import { adminApiScene, errorOf, up } from './testing/admin-api-scene.ts';

describe('GET /v1/backends/:id', () => {
  test('shows one backend', async (t) => {
    const { ask, backend } = await adminApiScene(t);
    up(backend);
    backend.ejectedUntil = Date.now() + 60_000;
    const status = (await ask('/v1/backends/app-1')).json as BackendStatus;
    assert.equal(status.id, 'app-1');
    assert.equal(status.up, false);
    assert.equal(status.ejectedUntil, backend.ejectedUntil);
    assert.equal(status.drain, undefined);
  });

  test('is 404 for a backend that is not configured', async (t) => {
    const { ask } = await adminApiScene(t);
    const answer = await ask('/v1/backends/app-9');
    assert.equal(answer.status, 404);
    assert.equal(errorOf(answer).code, 'NOT_FOUND');
  });

  test('wants the pool where two have a backend of that name', async (t) => {
    const pools = [testPool({ web: {} }, { name: 'shop' }), testPool({ web: {} }, { name: 'forum' })];
    const { ask } = await adminApiScene(t, { pools });
    const answer = await ask('/v1/backends/web');
    assert.equal(answer.status, 400);
    assert.match(errorOf(answer).message, /shop, forum/);
    assert.equal(((await ask('/v1/backends/web?pool=forum')).json as BackendStatus).pool, 'forum');
    assert.equal((await ask('/v1/backends/web?pool=blog')).status, 400);
  });
});
