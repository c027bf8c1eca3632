import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { sendTorn, tear } from './torn.ts';

test('bytes are torn at each position that lies within them', () => {
  const torn = (...cuts: number[]) => tear(Buffer.from('abcdef'), cuts).map(String);
  assert.deepEqual(torn(), ['abcdef']);
  assert.deepEqual(torn(1, 5), ['a', 'bcde', 'f']);
  assert.deepEqual(torn(5, 1, 1, 0, 6, 9, -1), ['a', 'bcde', 'f']);
});

test('each piece is read by itself', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const read: string[] = [];
  socket.on('data', (chunk: Buffer) => read.push(chunk.toString()));
  const pieces = Array.from({ length: 200 }, (_, index) => `${index};`);
  await sendTorn(
    client,
    pieces.map((piece) => Buffer.from(piece)),
  );
  client.end();
  await once(socket, 'end');
  assert.deepEqual(read, pieces);
});
