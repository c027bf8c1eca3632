import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { BodyGate } from './body-gate.ts';

function clientRequest(): PassThrough & IncomingMessage {
  return new PassThrough() as unknown as PassThrough & IncomingMessage;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('nothing is taken from the client before the gate opens', async () => {
  const request = clientRequest();
  request.write('first');
  const gate = new BodyGate(request, true);
  const got: Buffer[] = [];
  gate.on('data', (chunk: Buffer) => got.push(chunk));
  await turn();
  assert.deepEqual(got, []);
  assert.equal(gate.consumed, false);
  gate.open();
  request.end('second');
  await new Promise((resolve) => gate.once('end', resolve));
  assert.equal(Buffer.concat(got).toString(), 'firstsecond');
  assert.equal(gate.consumed, true);
});

test('a second gate gets the whole body when the first was never opened', async () => {
  const request = clientRequest();
  const first = new BodyGate(request, true);
  first.resume();
  request.end('all of it');
  await turn();
  first.destroy();
  const second = new BodyGate(request, true);
  second.open();
  assert.equal(Buffer.concat(await second.toArray()).toString(), 'all of it');
});

test('a body-less request ends when the gate opens, and is never consumed', async () => {
  const gate = new BodyGate(clientRequest(), false);
  gate.open();
  assert.deepEqual(await gate.toArray(), []);
  assert.equal(gate.consumed, false);
});

test('a backend that does not read stops the client, and reading again lets it go on', async () => {
  const request = clientRequest();
  const gate = new BodyGate(request, true);
  gate.open();
  const size = 256 * 1024;
  for (let i = 0; i < 4; i++) request.write(Buffer.alloc(size));
  request.end();
  await turn();
  assert.equal(request.isPaused(), true);
  let length = 0;
  for await (const chunk of gate) length += chunk.length;
  assert.equal(length, 4 * size);
});

test('a client that breaks off does not end the process', async () => {
  const request = clientRequest();
  const gate = new BodyGate(request, true);
  gate.open();
  gate.resume();
  request.destroy(new Error('reset'));
  await new Promise((resolve) => gate.once('close', resolve));
});
