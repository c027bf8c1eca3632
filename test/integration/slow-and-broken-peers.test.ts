import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { head } from '../corpus/hostile-request.ts';
import { GatewayUnderTest } from '../services/gateway-under-test.ts';
import { RawClient } from '../services/raw-client.ts';
import { plainAnswer } from '../services/recording-backend.ts';
import { standStill } from '../services/stand-still.ts';

const post = (length: number) => head('POST /here HTTP/1.1', 'Host: app.test', `Content-Length: ${length}`);

let underTest: GatewayUnderTest;
before(async () => {
  underTest = await GatewayUnderTest.start({ timeouts: { head: '300ms', body: '300ms' } });
});
after(() => underTest.stop());
afterEach(() => underTest.backend.forget());

describe('a client that does not finish', () => {
  test('its request head gets 408, and the connection ends', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send('GET /here HTTP/1.1\r\nHost: app.test\r\n');
    await client.until(() => client.closed);
    assert.deepEqual(statuses(client), [408]);
    assert.deepEqual(underTest.backend.requests, []);
  });

  test('its request head gets 408 even when it sends a little now and then', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send('GET /here HTTP/1.1\r\nHost: app.test\r\n');
    const trickle = setInterval(() => client.send('X-Slow: a\r\n'), 100);
    await client.until(() => client.closed);
    clearInterval(trickle);
    assert.deepEqual(statuses(client), [408]);
  });

  test('a second request head on its connection gets 408', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /here HTTP/1.1', 'Host: app.test'));
    await client.answered(1);
    client.send('GET /again HTTP/1.1\r\n');
    await client.until(() => client.closed);
    assert.deepEqual(statuses(client), [200, 408]);
  });

  for (const [name, start] of [
    ['a body of known length', `${post(10)}half`],
    [
      'a chunked body',
      `${head('POST /here HTTP/1.1', 'Host: app.test', 'Transfer-Encoding: chunked')}4\r\nhalf\r\n`,
    ],
    [
      'a chunked body of a DELETE',
      `${head('DELETE /here HTTP/1.1', 'Host: app.test', 'Transfer-Encoding: chunked')}4\r\nhalf\r\n`,
    ],
    ['a chunk', `${head('POST /here HTTP/1.1', 'Host: app.test', 'Transfer-Encoding: chunked')}8\r\nhalf`],
  ] as const) {
    test(`${name} gets 408, and the app server's request is cut off`, async () => {
      const client = await RawClient.connect(underTest.port);
      client.send(start);
      await client.until(() => client.closed);
      assert.deepEqual(statuses(client), [408]);
      assert.deepEqual(underTest.backend.requests, []);
      await underTest.backend.until(() => underTest.backend.connections.every(({ closed }) => closed));
    });
  }

  test('a body that keeps coming slowly is let through', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send(post(6));
    for (const octet of 'slowly') {
      client.send(octet);
      // A third of the longest pause that the gateway allows.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.answered(1);
    assert.deepEqual(statuses(client), [200]);
    assert.equal(underTest.backend.requests[0]?.body, 'slowly');
    client.destroy();
  });

  test('a body that comes while the gateway stands still is let through', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send(`${post(5)}th`);
    await underTest.backend.until(() =>
      underTest.backend.connections.some(({ bytes }) => bytes.includes('th')),
    );
    client.send('e');
    // For longer than a client may pause.
    standStill(500);
    await new Promise((resolve) => setImmediate(resolve));
    client.send('re');
    standStill(500);
    await client.answered(1);
    assert.deepEqual(statuses(client), [200]);
    assert.equal(underTest.backend.requests[0]?.body, 'there');
    client.destroy();
  });
});

test('every request that took too long to arrive is in the log', () => {
  const late = underTest.log.lines.filter(
    ({ code, level }) => code === 'REQUEST_TIMEOUT' && Number(level) >= 30,
  );
  assert.ok(
    late.some(({ msg }) => msg === 'request refused'),
    'a head',
  );
  assert.ok(
    late.some(({ msg }) => msg === 'request failed'),
    'a body',
  );
});

describe('a client that goes away', () => {
  test('while it waits ends the request at the app server', async () => {
    underTest.backend.answer = () => undefined;
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /slow HTTP/1.1', 'Host: app.test'));
    await underTest.backend.until(() => underTest.backend.requests.length === 1);
    client.destroy();
    await underTest.backend.until(() => underTest.backend.connections.every(({ closed }) => closed));
  });

  test('within its upload ends the request at the app server, which never sees it whole', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send(`${post(10)}half`);
    await underTest.backend.until(() =>
      underTest.backend.connections.some(({ bytes }) => bytes.includes('half')),
    );
    client.destroy();
    await underTest.backend.until(() => underTest.backend.connections.every(({ closed }) => closed));
    assert.deepEqual(underTest.backend.requests, []);
  });

  test('within the download ends the answer at the app server', async () => {
    underTest.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf';
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /download HTTP/1.1', 'Host: app.test'));
    await client.until(() => client.received.includes('half'));
    client.destroy();
    await underTest.backend.until(() => underTest.backend.connections.every(({ closed }) => closed));
  });

  test('leaves the gateway serving others', async () => {
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /here HTTP/1.1', 'Host: app.test', 'Connection: close'));
    await client.until(() => client.closed);
    assert.deepEqual(statuses(client), [200]);
  });
});

describe('an app server that answers badly', () => {
  for (const [name, answer, expected] of [
    ['garbage', 'garbage\r\n\r\n', [502]],
    ['a status line of another protocol', 'ICY 200 OK\r\n\r\n', [502]],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', [502]],
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      [502],
    ],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n', [502]],
    ['a header without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(200_000)}\r\n\r\n`, [502]],
  ] as const) {
    test(`with ${name} makes a 502`, async () => {
      underTest.backend.answer = () => answer;
      const client = await RawClient.connect(underTest.port);
      client.send(head('GET /here HTTP/1.1', 'Host: app.test', 'Connection: close'));
      await client.until(() => client.closed);
      assert.deepEqual(statuses(client), expected);
    });
  }

  test('with a second answer that nobody asked for does not reach the next client', async () => {
    underTest.backend.answer = (request) =>
      request.target === '/poison'
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
        : plainAnswer(request, 'clean');
    for (const [target, body] of [
      ['/poison', 'ok'],
      ['/here', 'clean'],
      ['/here', 'clean'],
    ] as const) {
      const client = await RawClient.connect(underTest.port);
      client.send(head(`GET ${target} HTTP/1.1`, 'Host: app.test', 'Connection: close'));
      await client.until(() => client.closed);
      assert.equal(client.responses().messages[0]?.body, body);
    }
  });

  test('with a torn body tears the client’s answer too, so that nobody takes it for whole', async () => {
    underTest.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf';
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /here HTTP/1.1', 'Host: app.test'));
    await client.until(() => client.received.includes('half'));
    for (const { socket } of underTest.backend.connections) socket.destroy();
    await client.until(() => client.closed);
    assert.deepEqual(statuses(client), []);
  });

  test('with chunks that break off tears the client’s answer too', async () => {
    underTest.backend.answer = () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n';
    const client = await RawClient.connect(underTest.port);
    client.send(head('GET /here HTTP/1.1', 'Host: app.test'));
    await client.until(() => client.received.includes('half'));
    for (const { socket } of underTest.backend.connections) socket.destroy();
    await client.until(() => client.closed);
    assert.deepEqual(statuses(client), []);
  });
});

function statuses(client: RawClient): number[] {
  return client.responses().messages.map(({ status }) => status);
}
