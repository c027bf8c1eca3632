import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { ClientBody, MeasuredBody } from './request-body.ts';

function clientRequest(): PassThrough & IncomingMessage {
  return new PassThrough() as unknown as PassThrough & IncomingMessage;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a body from the client', () => {
  test('is left with the client until it is let through', async () => {
    const request = clientRequest();
    request.write('first');
    const backend = new PassThrough();
    const body = new ClientBody(request, true);
    body.pipe(backend);
    await turn();
    assert.equal(backend.readableLength, 0);
    assert.equal(body.consumed, false);
    body.open();
    request.end('second');
    assert.equal((await buffer(backend)).toString(), 'firstsecond');
    assert.equal(body.consumed, true);
  });

  test('goes whole to a second backend when the first was never connected', async () => {
    const request = clientRequest();
    request.end('all of it');
    const refused = new PassThrough();
    new ClientBody(request, true).pipe(refused);
    await turn();
    refused.destroy();
    const backend = new PassThrough();
    const second = new ClientBody(request, true);
    second.pipe(backend);
    second.open();
    assert.equal((await buffer(backend)).toString(), 'all of it');
  });

  test('that does not exist ends the request to the backend, as often as it is sent', async () => {
    const request = clientRequest();
    for (let attempt = 0; attempt < 2; attempt++) {
      const backend = new PassThrough();
      const body = new ClientBody(request, false);
      body.pipe(backend);
      body.open();
      assert.equal((await buffer(backend)).length, 0);
      assert.equal(body.consumed, false);
    }
  });

  test('stops at a backend that does not read, and goes on with it', async () => {
    const request = clientRequest();
    const backend = new PassThrough();
    const body = new ClientBody(request, true);
    body.pipe(backend);
    body.open();
    const size = 256 * 1024;
    for (let i = 0; i < 4; i++) request.write(Buffer.alloc(size));
    request.end();
    await turn();
    assert.equal(request.isPaused(), true);
    assert.equal((await buffer(backend)).length, 4 * size);
  });
});

test('a body in memory can be sent as often as need be', async () => {
  for (let attempt = 0; attempt < 2; attempt++) {
    const backend = new PassThrough();
    const body = new MeasuredBody(Buffer.from('here'));
    body.pipe(backend);
    body.open();
    assert.equal((await buffer(backend)).toString(), 'here');
    assert.equal(body.consumed, false);
  }
});
