import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../services/eventually.ts';
import { inFlightAt } from '../services/gateway-status.ts';
import { RawClient } from '../services/raw-client.ts';
import { SmallSite } from '../services/small-site.ts';

let site: SmallSite;
const servers: WebSocketServer[] = [];
before(async () => {
  site = await SmallSite.start();
  for (const app of site.apps) attachEcho(site, app.id);
});
after(async () => {
  for (const server of servers) for (const client of server.clients) client.terminate();
  await site.stop();
});

/** Echoes what it is sent behind the name of the app. */
function attachEcho(target: SmallSite, id: string): void {
  const server = new WebSocketServer({
    server: target.app(id).server,
    verifyClient: ({ req }: { req: IncomingMessage }) => req.url !== '/forbidden',
  });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(`${id} ${data}`)));
  servers.push(server);
}

async function open(target: SmallSite, path = '/', headers: Record<string, string> = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${target.port}${path}`, { headers });
  let setCookie: string[] | undefined;
  socket.on('upgrade', (answer) => {
    setCookie = answer.headers['set-cookie'];
  });
  await once(socket, 'open');
  return { socket, setCookie };
}

async function echo(socket: WebSocket, message: string): Promise<string> {
  const answer = once(socket, 'message');
  socket.send(message);
  return String((await answer)[0]);
}

describe('a WebSocket', () => {
  test('goes both ways, and binds its client with the 101 answer', async () => {
    const { socket, setCookie } = await open(site);
    const first = await echo(socket, 'hello');
    assert.match(first, /^app-[12] hello$/);
    const cookie = setCookie?.[0]?.split(';')[0] ?? '';
    assert.match(cookie, /^stickshift=v1\./);
    socket.close();
    for (let i = 0; i < 5; i++) {
      const again = await open(site, '/', { cookie });
      assert.equal(await echo(again.socket, 'hello'), first);
      again.socket.close();
    }
  });

  test('of a session that goes during the handshake is refused, whatever its app answers', async (t) => {
    const leaving = await SmallSite.start();
    t.after(() => leaving.stop());
    for (const { server, agent } of leaving.apps) {
      const sockets = new WebSocketServer({
        server,
        verifyClient: async (_info, accept) => {
          await agent.leases.agreed(agent.leases.recall(['abc'], 'lost'), 10_000);
          accept(true);
        },
      });
      servers.push(sockets);
    }
    const socket = new WebSocket(`ws://127.0.0.1:${leaving.port}/`, { headers: { cookie: 'sid=abc' } });
    const [, answer] = await once(socket, 'unexpected-response');
    assert.equal((answer as IncomingMessage).statusCode, 503);
    socket.on('error', () => undefined).terminate();
    assert.deepEqual(
      leaving.log.matching(/WebSocket refused/).map(({ code }) => code),
      ['COMMIT_FENCED'],
    );
    const other = await open(leaving, '/', { cookie: 'sid=another' });
    other.socket.close();
  });

  test('loses nothing of an app that speaks first, not even in the packet of its 101', async (t) => {
    const talkative = await SmallSite.start();
    t.after(() => talkative.stop());
    for (const { server } of talkative.apps) {
      server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
        const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const head = [
          'HTTP/1.1 101 Switching Protocols',
          'Connection: Upgrade',
          'Upgrade: websocket',
          `Sec-WebSocket-Accept: ${hash('sha1', key, 'base64')}`,
        ];
        // Two text frames, unmasked.
        socket.write(`${head.join('\r\n')}\r\n\r\n\x81\x05hello\x81\x05again`, 'latin1');
        socket.on('error', () => socket.destroy());
      });
    }
    for (let i = 0; i < 3; i++) {
      const socket = new WebSocket(`ws://127.0.0.1:${talkative.port}/`);
      const messages: string[] = [];
      socket.on('message', (data) => messages.push(String(data)));
      await eventually('both messages are here', () => messages.length === 2);
      assert.deepEqual(messages, ['hello', 'again']);
      socket.terminate();
    }
  });

  test('loses nothing of a client that speaks before it has its answer', async () => {
    const client = await RawClient.connect(site.port);
    const head = [
      'GET / HTTP/1.1',
      'Host: a',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ].join('\r\n');
    // Text frames, masked with zeros; one in the packet of the head, one behind it.
    client.send(`${head}\r\n\r\n\x81\x85\0\0\0\0hello`);
    client.send('\x81\x85\0\0\0\0again');
    await client.until(() => /app-. hello.*app-. again/s.test(client.received.toString('latin1')));
    client.destroy();
  });

  test('carries large messages unharmed', async () => {
    const { socket } = await open(site);
    const message = 'x'.repeat(300_000);
    assert.equal((await echo(socket, message)).slice(6), message);
    socket.close();
  });

  test('that the app refuses gets the app’s answer', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${site.port}/forbidden`);
    const [, answer] = await once(socket, 'unexpected-response');
    assert.equal(answer.statusCode, 401);
    socket.on('error', () => undefined);
    socket.terminate();
  });

  test('ends at the app when the client vanishes', async () => {
    const { socket } = await open(site);
    await echo(socket, 'hello');
    socket.terminate();
    await eventually('no client is left', () => servers.every((server) => server.clients.size === 0));
    await eventually('nothing is counted as under way', async () => (await inFlightAt(site.gateway)) === 0);
  });

  test('goes to another app when the first refuses the connection', async (t) => {
    const lonely = await SmallSite.start();
    t.after(() => lonely.stop());
    attachEcho(lonely, 'app-2');
    lonely.apps[0].server.closeAllConnections();
    lonely.apps[0].server.close();
    for (let i = 0; i < 4; i++) {
      const { socket } = await open(lonely);
      assert.equal(await echo(socket, 'hello'), 'app-2 hello');
      socket.terminate();
    }
  });

  test('of a drained backend is closed with 1012 at the deadline, between two messages', async () => {
    const { socket } = await open(site);
    const id = (await echo(socket, 'hello')).slice(0, 5);
    // A message that is on its way when the deadline comes is delivered whole.
    socket.send('y'.repeat(200_000));
    const received: string[] = [];
    socket.on('message', (data) => received.push(String(data)));
    const closed = once(socket, 'close');
    const answer = await fetch(`${site.gateway.adminUrl}/v1/backends/${id}/state`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ state: 'drain', deadlineMs: 2_000 }),
    });
    assert.equal(answer.status, 202);
    assert.equal((await closed)[0], 1012);
    assert.deepEqual(
      received.map((message) => message.length),
      [200_006],
    );
  });
});

test('an upgrade to anything else is an ordinary request', async () => {
  site.serve(() => (request, response) => response.end(`upgrade: ${request.headers.upgrade}`));
  const client = await RawClient.connect(site.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n',
  );
  await client.answered(1);
  const [answer] = client.responses().messages;
  assert.deepEqual([answer?.status, answer?.body], [200, 'upgrade: undefined']);
  client.destroy();
});
