import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { SmallSite } from '../services/small-site.ts';

/** What the app was told, and the affinity cookie that the client got. */
async function visit(t: TestContext, trustedProxies: string[], headers: Record<string, string>) {
  const site = await SmallSite.start({ gateway: { trustedProxies } });
  t.after(() => site.stop());
  let told: IncomingHttpHeaders = {};
  site.serve((app) => (request, response) => {
    told = request.headers;
    response.end(app.id);
  });
  const answer = await fetch(site.url, { headers });
  assert.equal(answer.status, 200);
  return {
    for: told['x-forwarded-for'],
    proto: told['x-forwarded-proto'],
    host: told['x-forwarded-host'],
    realIp: told['x-real-ip'],
    secure: answer.headers.getSetCookie().some((line) => /^stickshift=.*; Secure/.test(line)),
    url: new URL(site.url).host,
  };
}

const CLAIMS = {
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'shop.example',
  'x-real-ip': '203.0.113.7',
};

describe('what a client says of itself in X-Forwarded-*', () => {
  test('never reaches the app when nobody is trusted', async (t) => {
    const told = await visit(t, [], CLAIMS);
    assert.deepEqual(told, {
      for: '127.0.0.1',
      proto: 'http',
      host: told.url,
      realIp: undefined,
      secure: false,
      url: told.url,
    });
  });

  test('never reaches the app when somebody else is trusted', async (t) => {
    const told = await visit(t, ['10.0.0.0/8', '::1'], CLAIMS);
    assert.deepEqual([told.for, told.proto, told.secure], ['127.0.0.1', 'http', false]);
  });
});

describe('what a trusted proxy says in X-Forwarded-*', () => {
  test('reaches the app, with the proxy added, and https makes the affinity cookie Secure', async (t) => {
    const told = await visit(t, ['127.0.0.0/8'], CLAIMS);
    assert.deepEqual(told, {
      for: '203.0.113.7, 127.0.0.1',
      proto: 'https',
      host: 'shop.example',
      realIp: '203.0.113.7',
      secure: true,
      url: told.url,
    });
  });

  test('may be http', async (t) => {
    const told = await visit(t, ['127.0.0.1'], { ...CLAIMS, 'x-forwarded-proto': 'http' });
    assert.deepEqual([told.proto, told.secure], ['http', false]);
  });

  test('may be nothing', async (t) => {
    const told = await visit(t, ['127.0.0.1'], {});
    assert.deepEqual([told.for, told.proto, told.secure], ['127.0.0.1', 'http', false]);
  });
});
