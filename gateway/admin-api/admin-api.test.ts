import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adminApiScene, errorOf } from './testing/admin-api-scene.ts';

describe('the admin API', () => {
  test('guards everything but the probes, and tells outsiders not even what there is', async (t) => {
    const token = 'a-token-of-16-characters';
    const { ask, backend, log } = await adminApiScene(t, { token, loopback: false });
    for (const [method, path] of [
      ['GET', '/v1/status'],
      ['GET', '/v1/backends/app-1'],
      ['POST', '/v1/backends/app-1/state'],
      ['GET', '/v1/backends/app-1/drain'],
      ['POST', '/v1/sessions/lookup'],
      ['GET', '/metrics'],
      ['GET', '/nothing'],
      ['DELETE', '/v1/status'],
    ] as const) {
      const request = { method, ...(method === 'POST' && { body: { state: 'drain' } }) };
      const answer = await ask(path, request);
      assert.equal(answer.status, 401, `${method} ${path}`);
      assert.equal(errorOf(answer).code, 'UNAUTHORIZED');
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
    }
    assert.equal(backend.adminState, 'ready');
    assert.equal(log.matching(/refused somebody/).length, 8);
    assert.doesNotMatch(JSON.stringify(log.lines), new RegExp(token));
    const admitted = await ask('/v1/status', { headers: { authorization: `Bearer ${token}` } });
    assert.equal(admitted.status, 200);
  });

  test('on loopback without a token refuses web pages and rebound names', async (t) => {
    const { ask, backend } = await adminApiScene(t);
    const change = { method: 'POST', body: { state: 'drain' } };
    for (const headers of [{ origin: 'https://evil.example' }, { host: 'evil.example' }]) {
      assert.equal((await ask('/v1/backends/app-1/state', { ...change, headers })).status, 401);
    }
    assert.equal(backend.adminState, 'ready');
  });

  test('on loopback without a token serves fetch', async (t) => {
    const { url } = await adminApiScene(t);
    assert.equal((await fetch(`${url}/v1/status`)).status, 200);
  });

  test('answers 405 with the methods there are, and 404 where there is nothing', async (t) => {
    const { ask } = await adminApiScene(t);
    const refused = await ask('/v1/status', { method: 'DELETE' });
    assert.deepEqual([refused.status, refused.headers.allow], [405, 'GET, HEAD']);
    assert.equal((await ask('/v2/status')).status, 404);
  });

  test('passes /metrics on, and has none when there is no exporter', async (t) => {
    const without = await adminApiScene(t);
    assert.equal((await without.ask('/metrics')).status, 404);
    const { ask } = await adminApiScene(t, { metricsHandler: (_, response) => response.end('up 1\n') });
    assert.equal((await ask('/metrics')).text, 'up 1\n');
  });

  test('hides what went wrong inside, and logs it', async (t) => {
    const { ask, log } = await adminApiScene(t, {
      gatewayStatus: () => {
        throw new Error('a detail');
      },
    });
    const answer = await ask('/v1/status');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /a detail/);
    assert.match(JSON.stringify(log.lines), /a detail/);
  });

  test('lets no answer be cached or be taken for anything but JSON', async (t) => {
    const { ask } = await adminApiScene(t);
    const { headers } = await ask('/healthz');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });
});
