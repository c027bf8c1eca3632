import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { adminApiScene, up } from './testing/admin-api-scene.ts';

describe('probes', () => {
  test('are open to everybody and say that the gateway is alive', async (t) => {
    const { ask } = await adminApiScene(t, { token: 'a-token-of-16-characters', loopback: false });
    const answer = await ask('/healthz');
    assert.deepEqual([answer.status, answer.json], [200, { alive: true }]);
    assert.equal((await ask('/readyz')).status, 503);
  });

  const cases: [string, { done: boolean; up: boolean; stopping: boolean }, number][] = [
    ['is not ready before the first round of checks', { done: false, up: true, stopping: false }, 503],
    ['is not ready when no backend is up', { done: true, up: false, stopping: false }, 503],
    ['is ready when one backend is up', { done: true, up: true, stopping: false }, 200],
    ['is not ready once it stops', { done: true, up: true, stopping: true }, 503],
  ];
  for (const [name, state, status] of cases) {
    test(`the gateway ${name}`, async (t) => {
      const { ask, backend } = await adminApiScene(t, {
        firstRoundDone: state.done,
        stopping: () => state.stopping,
      });
      if (state.up) up(backend);
      const answer = await ask('/readyz');
      assert.equal(answer.status, status);
      assert.equal((answer.json as { ready: boolean }).ready, status === 200);
    });
  }

  test('call the gateway ready while one of its pools has no backend', async (t) => {
    const shop = testPool({ web: {} }, { name: 'shop' });
    const pools = [shop, testPool({ web: {} }, { name: 'forum' })];
    const { ask } = await adminApiScene(t, { pools });
    up(backendOf(shop, 'web'));
    assert.equal((await ask('/readyz')).status, 200);
  });
});
