import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { standStill } from '../../test/services/stand-still.ts';
import { startFakeServer } from '../testing/fake-server.ts';
import { type Exchange, exchange } from './exchange.ts';

const TIMEOUT_MS = 100;

const askFor = (url: URL): Exchange => ({
  ...{ url, method: 'GET', headers: {}, agent: false },
  ...{ timeoutMs: TIMEOUT_MS, maxBytes: 1_000, overlong: 'fails' },
});

describe('an answer', () => {
  test('that has come by the time when this process goes on is not late', async (t) => {
    const server = await startFakeServer(t, (_request, response) => {
      response.end('in time');
      standStill(3 * TIMEOUT_MS);
    });
    assert.deepEqual(await exchange(askFor(server.url)), { status: 200, body: 'in time', resends: 0 });
  });

  test('that does not come is late', async (t) => {
    const server = await startFakeServer(t, () => undefined);
    await assert.rejects(exchange(askFor(server.url)), { kind: 'late', message: /no answer within 100 ms/ });
  });
});
