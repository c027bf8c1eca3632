import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startListening } from '../test/services/listening-server.ts';
import { AdminClient } from './admin-client.ts';

const clientOf = ({ origin }: URL, timeoutMs?: number) =>
  new AdminClient({ url: origin, token: undefined, ...(timeoutMs && { timeoutMs }) });

const failureAt = (url: URL, timeoutMs?: number) =>
  clientOf(url, timeoutMs)
    .status()
    .then(
      () => assert.fail('it is a gateway'),
      (error: Error) => error.message,
    );

describe('an admin API', () => {
  test('that does not answer, or not in whole, gives no answer in time', async (t) => {
    const silent = await startListening(t, () => undefined);
    const halting = await startListening(t, (_, response) => void response.write('{"gateway":'));
    for (const url of [silent, halting])
      assert.match(await failureAt(url, 100), /^No gateway answers at http:\S+ \(no answer in time\)/);
  });

  test('that breaks off is none', async (t) => {
    const url = await startListening(t, (_, response) => response.write('{', () => response.destroy()));
    assert.match(await failureAt(url), /^No gateway answers at http:\S+ \(ECONNRESET\)/);
  });

  test('is found on whatever port it listens', async (t) => {
    // Browsers, and fetch, keep away from both of these.
    const status = { gateway: {}, pools: [] };
    const url = await Promise.any(
      [5_061, 4_190].map((port) =>
        startListening(t, (_, response) => response.end(JSON.stringify(status)), port),
      ),
    );
    assert.deepEqual(await clientOf(url).status(), status);
  });
});
