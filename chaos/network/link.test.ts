import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { findPorts } from '../../demo/ports.ts';
import { eventually } from '../../test/services/eventually.ts';
import { Link } from './link.ts';

describe('a link', () => {
  let link: Link;
  let sockets: Socket[];
  /** Answers with whatever it gets. */
  const echo = createServer((socket) => void socket.on('error', () => undefined).pipe(socket));

  beforeEach(async () => {
    sockets = [];
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const [port = 0] = await findPorts(1);
    link = new Link({ name: 'test', port, targetPort: (echo.address() as AddressInfo).port });
    await link.setTargetUp(true);
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await link.close();
    echo.close();
    await once(echo, 'close');
  });

  async function connected(): Promise<{ socket: Socket; received: () => string; closed: () => boolean }> {
    const socket = connect(link.port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        text += chunk;
      });
    await once(socket, 'connect');
    return { socket, received: () => text, closed: () => socket.destroyed };
  }

  async function isRefused(): Promise<boolean> {
    const socket = connect(link.port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
    } finally {
      socket.destroy();
    }
  }

  test('carries bytes and ends both ways', async () => {
    const { socket, received, closed } = await connected();
    socket.end('hello');
    await eventually('the echo', () => received() === 'hello');
    await eventually('the end', closed);
  });

  test('keeps what falls into a black hole, and gives it back in order', async () => {
    const { socket, received } = await connected();
    link.setTrouble('forward', 'black-hole');
    socket.write('1');
    link.setTrouble('backward', { delayMs: 1 });
    socket.write('2');
    link.setTrouble('both', 'none');
    socket.write('3');
    await eventually('everything', () => received() === '123');
  });

  test('can lose answers alone', async () => {
    const { socket, received } = await connected();
    socket.write('a');
    await eventually('the first echo', () => received() === 'a');
    link.setTrouble('backward', 'black-hole');
    const other = await connected();
    other.socket.write('b');
    socket.write('b');
    await eventually('the echo has come as far as the hole', () => socket.bytesWritten === 2);
    assert.equal(received() + other.received(), 'a');
    link.setTrouble('both', 'none');
    await eventually('both echoes', () => received() === 'ab' && other.received() === 'b');
  });

  test('refuses connections while it is cut, or nobody listens at its far end', async () => {
    const { closed } = await connected();
    await link.cut();
    await eventually('the reset', closed);
    assert.ok(await isRefused());
    await link.mend();
    assert.ok(!(await isRefused()));
    await link.setTargetUp(false);
    assert.ok(await isRefused());
  });

  test('leads elsewhere when it is told to, and drops who was connected', async () => {
    const { closed } = await connected();
    const other = createServer((socket) => void socket.on('error', () => undefined).end('other'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    link.switchTo((other.address() as AddressInfo).port);
    await eventually('the reset', closed);
    const { received } = await connected();
    await eventually('the other server', () => received() === 'other');
    other.close();
  });
});
