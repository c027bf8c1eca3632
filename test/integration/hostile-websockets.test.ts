import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { StickshiftError } from '../../protocol/errors.ts';
import { eventually } from '../services/eventually.ts';
import { inFlightAt } from '../services/gateway-status.ts';
import { RawClient } from '../services/raw-client.ts';
import { SmallSite } from '../services/small-site.ts';

let site: SmallSite;
/** What the apps do with a handshake. */
let onUpgrade: (socket: Duplex) => void = () => undefined;
before(async () => {
  site = await SmallSite.start({ gateway: { timeouts: { firstByte: '1s' } } });
  for (const { server } of site.apps) {
    server.on('upgrade', (_request, socket: Duplex) => {
      socket.on('error', () => socket.destroy());
      onUpgrade(socket);
    });
  }
});
after(() => site.stop());

/** The answer to a handshake that comes to nothing. */
async function refusal(
  headers: Record<string, string> = {},
): Promise<{ status: number; proxyStatus: string; retryAfter: string | undefined }> {
  const socket = new WebSocket(`ws://127.0.0.1:${site.port}/`, { headers });
  socket.on('error', () => undefined);
  const [, answer] = await once(socket, 'unexpected-response');
  socket.terminate();
  return {
    status: answer.statusCode,
    proxyStatus: String(answer.headers['proxy-status']),
    retryAfter: answer.headers['retry-after'],
  };
}

async function assertStillServing(): Promise<void> {
  site.serve((app) => (_request, response) => response.end(app.id));
  assert.equal((await fetch(site.url)).status, 200);
  await eventually('nothing is counted as under way', async () => (await inFlightAt(site.gateway)) === 0);
}

const logged = () => site.log.matching(/WebSocket refused/).at(-1)?.code;

describe('a WebSocket handshake', () => {
  test('that the app never answers is 504', async () => {
    onUpgrade = () => undefined;
    const { status, proxyStatus } = await refusal();
    assert.equal(status, 504);
    assert.match(proxyStatus, /timeout/);
    assert.equal(logged(), 'BACKEND_TIMEOUT');
    await assertStillServing();
  });

  for (const [what, answer] of [
    ['cuts off', ''],
    ['answers with noise', '\x00\x01\x02 noise\r\n\r\n'],
    ['answers by half', 'HTTP/1.1 101 Switching Protocols\r\nUpgr'],
  ] as const) {
    test(`that the app ${what} is 502`, async () => {
      onUpgrade = (socket) => socket.end(answer);
      const { status } = await refusal();
      assert.equal(status, 502);
      assert.ok(logged());
      await assertStillServing();
    });
  }

  test('for a session that cannot be looked up is 503, and no app sees it', async () => {
    let seen = 0;
    onUpgrade = () => {
      seen += 1;
    };
    site.lookup = () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'connect ECONNREFUSED 10.1.2.3:6379');
    };
    const { status, retryAfter } = await refusal({ cookie: 'sid=somewhere' });
    assert.deepEqual([status, retryAfter, seen], [503, '1', 0]);
    assert.equal(logged(), 'SESSION_UNKNOWN');
    await assertStillServing();
  });

  test('whose head is malformed is 400', async () => {
    const client = await RawClient.connect(site.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await client.until(() => client.closed);
    assert.deepEqual(
      client.responses().messages.map(({ status }) => status),
      [400],
    );
    assert.equal(logged(), 'BAD_REQUEST');
    await assertStillServing();
  });

  test('whose client goes away ends at the app at once, not only when its time is over', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${site.port}/`);
    socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => {
      onUpgrade = (atApp) => {
        atApp.resume().once('end', resolve);
        socket.terminate();
      };
    });
    const refused = site.log.matching(/WebSocket refused/).length;
    await closed;
    await assertStillServing();
    assert.equal(site.log.matching(/WebSocket refused/).length, refused, 'there was nobody to refuse');
  });
});
