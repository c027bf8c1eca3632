import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startListening } from '../../../test/services/listening-server.ts';
import { isAppAlive } from './app-check.ts';

const LONG_MS = 10_000;

for (const [status, answers] of [
  [200, true],
  [302, true],
  [404, true],
  [502, false],
] as const) {
  test(`an app that says ${status} ${answers ? 'is there' : 'may not be'}`, async (t) => {
    const url = await startListening(t, (_, response) =>
      response.writeHead(status, { location: '/' }).end('a page'),
    );
    assert.equal(await isAppAlive({ url, timeout: LONG_MS }), answers);
  });
}

test('an app is there on whatever port it listens', async (t) => {
  // Browsers, and fetch, keep away from both of these.
  const url = await Promise.any(
    [10_080, 6_697].map((port) => startListening(t, (_, response) => response.end('a page'), port)),
  );
  assert.equal(await isAppAlive({ url, timeout: LONG_MS }), true);
});

test('an app that nobody can connect to, or that says nothing in time, is not there', async (t) => {
  assert.equal(await isAppAlive({ url: new URL('http://127.0.0.1:1/healthz'), timeout: LONG_MS }), false);
  const silent = await startListening(t, () => undefined);
  assert.equal(await isAppAlive({ url: silent, timeout: 20 }), false);
});
