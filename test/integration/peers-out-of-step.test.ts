import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { head } from '../corpus/hostile-request.ts';
import { eventually } from '../services/eventually.ts';
import { GatewayUnderTest } from '../services/gateway-under-test.ts';
import { RawClient } from '../services/raw-client.ts';
import { plainAnswer } from '../services/recording-backend.ts';
import { SmallSite } from '../services/small-site.ts';
import { readResponses } from '../services/strict-http.ts';

const MIB = 1024 * 1024;
/** Far beyond what two sockets and the machine between them take without anybody reading. */
const MORE_THAN_BUFFERS = 16 * MIB;

const PART_LENGTH = 16_384;
const PART = `${PART_LENGTH.toString(16)}\r\n${'A'.repeat(PART_LENGTH)}\r\n`;
/** Of an answer, waiting in a socket of the gateway: more than what is in the middle of being written, and less than holds a backend up. */
const LEAST_TAIL = 20_000;
const MOST_TAIL = 65_536;

/** Connections that servers in this process have, the gateway among them; by the server's port and the client's. */
const accepted = new Map<string, Socket>();
const noteAccepted = (message: unknown) => {
  const { socket } = message as { socket: Socket };
  accepted.set(`${socket.localPort} from ${socket.remotePort}`, socket);
};
before(() => subscribe('net.server.socket', noteAccepted));
after(() => unsubscribe('net.server.socket', noteAccepted));

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.on('error', () => socket.destroy());
  return socket;
}

/** Reads as much as there is, now and then, until there are so many octets or the connection ends. */
async function readSlowly(socket: Socket, enough: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  let isOver = false;
  socket.once('end', () => {
    isOver = true;
  });
  socket.once('close', () => {
    isOver = true;
  });
  while (length < enough) {
    const part = socket.read() as Buffer | null;
    if (part) {
      parts.push(part);
      length += part.length;
    } else if (isOver) break;
    await pause(10);
  }
  return Buffer.concat(parts);
}

function answerOf(fill: string, length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${fill.repeat(length)}`;
}

for (const fastLane of [true, false]) {
  describe(`through the ${fastLane ? 'fast' : 'full'} lane`, () => {
    let underTest: GatewayUnderTest;
    before(async () => {
      underTest = await GatewayUnderTest.start({
        fastLane,
        timeouts: { head: '300ms', keepAlive: '300ms' },
      });
    });
    after(() => underTest.stop());

    test('a client that does not read gets nothing of what others get meanwhile', async () => {
      underTest.backend.answer = ({ target }) =>
        target === '/slow' ? answerOf('A', 8 * MIB) : answerOf('B', 60_000);
      const quick = await RawClient.connect(underTest.port);
      const get = head('GET /quick HTTP/1.1', 'Host: app.test');
      quick.send(get);
      await quick.answered(1);
      const slow = await connected(underTest.port);
      slow.pause();
      slow.write(head('GET /slow HTTP/1.1', 'Host: app.test', 'Connection: close'));
      await underTest.backend.until(() =>
        underTest.backend.requests.some(({ target }) => target === '/slow'),
      );
      for (let round = 2; round < 6; round++) {
        quick.send(get);
        await quick.answered(round);
      }
      const bytes = await readSlowly(slow, Number.POSITIVE_INFINITY);
      const body = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
      assert.equal(body.length, 8 * MIB);
      assert.ok(body.equals(Buffer.alloc(8 * MIB, 'A')));
      quick.destroy();
    });

    for (const connection of ['close', 'keep-alive']) {
      test(`an answer gets to its end at a client that does not read for a while, with Connection: ${connection}`, async () => {
        let backend: Socket | undefined;
        underTest.backend.answer = (request, { socket }) => {
          if (request.target === '/next') return plainAnswer(request);
          backend = socket;
          return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
        };
        const client = await connected(underTest.port);
        client.pause();
        client.write(head('GET /slow HTTP/1.1', 'Host: app.test', `Connection: ${connection}`));
        await underTest.backend.until(() => backend !== undefined);
        const ours = await eventually('the gateway has the connection', () =>
          accepted.get(`${underTest.port} from ${client.localPort}`),
        );
        let sent = 0;
        do {
          while (ours.writableLength < LEAST_TAIL) {
            const { bytesWritten } = ours;
            backend?.write(PART);
            sent += PART_LENGTH;
            while (ours.bytesWritten < bytesWritten + PART_LENGTH) await immediate();
          }
          // Full for a moment is not full: the machine may be behind in bringing octets from one socket to the other.
          await pause(100);
        } while (ours.writableLength < LEAST_TAIL);
        const { bytesWritten } = ours;
        backend?.write('0\r\n\r\n');
        await eventually('the gateway has its end', () => ours.bytesWritten > bytesWritten);
        const tail = ours.writableLength;
        assert.ok(tail > 0 && tail < MOST_TAIL, `${tail} octets wait`);
        // Longer than a head may take, and than a connection is kept that has nothing to do.
        await pause(900);
        const isKept = connection === 'keep-alive';
        if (isKept) client.write(head('GET /next HTTP/1.1', 'Host: app.test', 'Connection: close'));
        const bytes = await readSlowly(client, Number.POSITIVE_INFINITY);
        const { messages, rest } = readResponses(bytes, [], true);
        const [answer, ...more] = messages;
        assert.ok(answer?.body === 'A'.repeat(sent), `${bytes.length} octets of an answer of ${sent}`);
        assert.deepEqual([...more.map(({ body }) => body), rest], isKept ? ['ok', ''] : ['']);
        client.destroy();
      });
    }

    test('a POST does not meet a kept connection that the app server has reset a moment ago', async () => {
      for (let round = 0; round < 20; round++) {
        underTest.backend.forget();
        const client = await RawClient.connect(underTest.port);
        client.send(head('GET /here HTTP/1.1', 'Host: app.test'));
        await client.answered(1);
        for (const { socket } of underTest.backend.connections) socket.resetAndDestroy();
        client.send(`${head('POST /here HTTP/1.1', 'Host: app.test', 'Content-Length: 2')}hi`);
        await client.answered(2, ['GET', 'POST']);
        assert.deepEqual(
          client.responses(['GET', 'POST']).messages.map(({ status }) => status),
          [200, 200],
        );
        client.destroy();
      }
    });

    for (const [what, more] of [
      ['ordinary requests', []],
      ['requests that only the full lane takes', ['X-Twice: 1', 'X-Twice: 2']],
    ] as const) {
      test(`a client that sends ${what} without end is read no faster than it is served`, async () => {
        const site = await SmallSite.start({ gateway: { fastLane } });
        try {
          let served = 0;
          site.serve(() => (_request, response) => {
            served += 1;
            response.end('ok');
          });
          const client = await connected(site.port);
          client.resume();
          const block = Buffer.from(head('GET / HTTP/1.1', 'Host: app.test', ...more).repeat(20_000));
          const push = () => {
            while (client.writableLength < 4 * MIB && !client.destroyed) client.write(block);
          };
          client.on('drain', push);
          push();
          while (served < 1_000) await pause(5);
          assert.ok(client.bytesWritten - client.writableLength < MORE_THAN_BUFFERS);
          client.destroy();
        } finally {
          await site.stop();
        }
      });
    }
  });
}
