import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { AdminClient } from './admin-client.ts';

async function listening(t: TestContext, listener: RequestListener, port = 0): Promise<string> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failureAt = (url: string, timeoutMs?: number) =>
  new AdminClient({ url, token: undefined, ...(timeoutMs && { timeoutMs }) }).status().then(
    () => assert.fail('it is a gateway'),
    (error: Error) => error.message,
  );

describe('an admin API', () => {
  test('that does not answer, or not in whole, gives no answer in time', async (t) => {
    const silent = await listening(t, () => undefined);
    const halting = await listening(t, (_, response) => void response.write('{"gateway":'));
    for (const url of [silent, halting])
      assert.match(await failureAt(url, 100), /^No gateway answers at http:\S+ \(no answer in time\)/);
  });

  test('that breaks off is none', async (t) => {
    const url = await listening(t, (_, response) => response.write('{', () => response.destroy()));
    assert.match(await failureAt(url), /^No gateway answers at http:\S+ \(ECONNRESET\)/);
  });

  test('is found on whatever port it listens', async (t) => {
    // Browsers, and fetch, keep away from both of these.
    const status = { gateway: {}, pools: [] };
    const url = await Promise.any(
      [5_061, 4_190].map((port) => listening(t, (_, response) => response.end(JSON.stringify(status)), port)),
    );
    assert.deepEqual(await new AdminClient({ url, token: undefined }).status(), status);
  });
});
