import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:https';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { configSchema } from '../../config/schema.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { recordedLog } from '../../gateway/testing/recorded-log.ts';
import type { TestCertificate } from '../../gateway/testing/test-certificate.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { CertificateFiles } from '../services/certificate-files.ts';
import { emptyStore } from '../services/empty-store.ts';
import { eventually } from '../services/eventually.ts';
import { statusOf } from '../services/gateway-status.ts';
import { RawClient } from '../services/raw-client.ts';
import { SITE_SECRET, SmallSite } from '../services/small-site.ts';
import { connectByTls, requestByTls } from '../services/tls-client.ts';

let files: CertificateFiles;
let site: SmallSite;
let shop: TestCertificate;
let pay: TestCertificate;
before(async () => {
  files = await CertificateFiles.create();
  shop = await files.put('shop', ['shop.example', 'localhost']);
  pay = await files.put('pay', ['*.pay.example']);
  const tls = { ...files.settings('shop', 'pay'), redirect: { listen: '127.0.0.1:0', port: 8443 } };
  site = await SmallSite.start({ gateway: { tls, timeouts: { head: '1s' } } });
});
after(async () => {
  await site.stop();
  await files[Symbol.asyncDispose]();
});
beforeEach(() =>
  site.serve(
    ({ id }) =>
      (_request, response) =>
        response.end(id),
  ),
);

const shown = (socket: TLSSocket) => socket.getPeerX509Certificate()?.fingerprint256;

describe('a gateway with certificates', () => {
  test('serves HTTP/1.1 by TLS, says so to the app, and marks its cookie Secure', async () => {
    site.serve(() => (request, response) => response.end(JSON.stringify(request.headers)));
    const answer = await requestByTls(site.port, { ca: shop.cert, headers: { host: 'shop.example' } });
    assert.equal(answer.status, 200);
    const received = JSON.parse(answer.body);
    assert.equal(received['x-forwarded-proto'], 'https');
    assert.equal(received['x-forwarded-port'], '443');
    assert.match(answer.headers['set-cookie']?.[0] ?? '', /^stickshift=.*; Secure/);
    assert.match(site.url, /^https:/);
  });

  test('shows the certificate that is for the host asked for, and the first one otherwise', async () => {
    for (const [servername, certificate] of [
      ['shop.example', shop],
      ['eu.pay.example', pay],
      ['EU.PAY.EXAMPLE', pay],
      ['a.eu.pay.example', shop],
      ['elsewhere.example', shop],
      ['', shop],
    ] as const) {
      const socket = await connectByTls(site.port, { servername });
      assert.equal(shown(socket), certificate.fingerprint, servername);
      socket.destroy();
    }
  });

  test('agrees on HTTP/2 where it is offered, on HTTP/1.1 otherwise, and refuses anything else', async () => {
    for (const [offered, agreed] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1', 'h2'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [undefined, false],
    ] as const) {
      const socket = await connectByTls(site.port, offered && { ALPNProtocols: [...offered] });
      assert.equal(socket.alpnProtocol, agreed);
      socket.destroy();
    }
    await assert.rejects(connectByTls(site.port, { ALPNProtocols: ['spdy/3'] }), /no application protocol/i);
  });

  test('speaks TLS 1.2 and 1.3, and nothing older', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await connectByTls(site.port, { minVersion: version, maxVersion: version });
      assert.equal(socket.getProtocol(), version);
      socket.destroy();
    }
    // OpenSSL by itself would not even try.
    const ciphers = 'DEFAULT@SECLEVEL=0';
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = connectByTls(site.port, { minVersion: version, maxVersion: version, ciphers });
      await assert.rejects(old, /protocol version/);
    }
  });

  test('lets nobody renegotiate', async () => {
    const socket = await connectByTls(site.port, { maxVersion: 'TLSv1.2' });
    const failure = await new Promise((resolve) => {
      socket.once('error', resolve);
      socket.renegotiate({}, resolve);
    });
    assert.match(String(failure), /no renegotiation/);
    socket.destroy();
  });

  test('answers what is no HTTP as it does without TLS, and goes on after what is no TLS', async () => {
    const socket = await connectByTls(site.port);
    socket.write('NONSENSE\r\n\r\n');
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 400 /);
    const plain = await RawClient.connect(site.port);
    plain.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await plain.until(() => plain.closed);
    assert.equal((await requestByTls(site.port, { ca: shop.cert })).status, 200);
  });

  test('does not wait for a handshake that never comes, nor for a head', async () => {
    const silent = await RawClient.connect(site.port);
    await silent.until(() => silent.closed);
    const slow = await connectByTls(site.port);
    slow.write('GET / HTTP/1.1\r\nHost: a\r\n');
    const [answer] = await once(slow, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 408 /);
  });

  test('carries WebSockets', async (t) => {
    const servers = site.apps.map(({ server }) => new WebSocketServer({ server }));
    t.after(() => {
      for (const server of servers) server.close();
    });
    for (const server of servers) {
      server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
    }
    const socket = new WebSocket(`wss://127.0.0.1:${site.port}/`, { ca: shop.cert });
    await once(socket, 'open');
    socket.send('hello');
    assert.equal(String((await once(socket, 'message'))[0]), 'hello');
    socket.terminate();
  });

  test('tells of its certificates in its status', async () => {
    const status = await statusOf(site.gateway);
    assert.deepEqual(
      status.gateway.certificates?.map(({ names, daysLeft }) => [names, daysLeft]),
      [
        [['shop.example', 'localhost'], 89],
        [['*.pay.example'], 89],
      ],
    );
  });
});

describe('plain HTTP beside it', () => {
  const redirected = async (head: string) => {
    const client = await RawClient.connect(Number(new URL(site.gateway.redirectUrl ?? '').port));
    client.send(head);
    await client.until(() => client.closed);
    const [answer] = client.responses().messages;
    return answer;
  };

  test('is sent to the same host and path by https, at the port that clients see', async () => {
    for (const [head, location] of [
      [
        'GET /cart?a=%20b&c HTTP/1.1\r\nHost: shop.example\r\n\r\n',
        'https://shop.example:8443/cart?a=%20b&c',
      ],
      ['GET / HTTP/1.1\r\nHost: Shop.Example:8080\r\n\r\n', 'https://Shop.Example:8443/'],
      ['GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', 'https://[::1]:8443/'],
      ['GET //evil.example HTTP/1.1\r\nHost: a\r\n\r\n', 'https://a:8443//evil.example'],
      ['POST /buy HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx', 'https://a:8443/buy'],
      ['GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n', 'https://a:8443/'],
    ] as const) {
      const answer = await redirected(head);
      assert.equal(answer?.status, 308, head);
      assert.equal(answer.headers.find(([name]) => name === 'location')?.[1], location);
    }
  });

  test('that names no host, or several, or none that is one, is refused', async () => {
    for (const head of [
      'GET / HTTP/1.0\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n',
      'NONSENSE\r\n\r\n',
    ]) {
      assert.equal((await redirected(head))?.status, 400, head);
    }
    assert.equal((await redirected('CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'))?.status, 405);
  });
});

test('a renewed certificate is shown to those who come, and those who are there stay', async (t) => {
  const renewed = await SmallSite.start({ gateway: { tls: files.settings('shop', 'pay') } });
  t.after(() => renewed.stop());
  renewed.serve(() => (_request, response) => response.end('ok'));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const first = await files.put('shop', ['shop.example']);
  const second = await files.put('pay', ['*.pay.example']);
  const current = async (servername: string) => {
    const socket = await connectByTls(renewed.port, { servername });
    const fingerprint = shown(socket);
    socket.destroy();
    return fingerprint;
  };
  let sockets = 0;
  agent.on('free', () => {
    sockets += 1;
  });
  const busy = requestByTls(renewed.port, { agent, rejectUnauthorized: false });
  await busy;
  await eventually('the default one is shown', async () => (await current('')) === first.fingerprint);
  await eventually(
    'the other one is shown',
    async () => (await current('a.pay.example')) === second.fingerprint,
  );
  assert.equal((await requestByTls(renewed.port, { agent, rejectUnauthorized: false })).body, 'ok');
  assert.equal(renewed.log.matching(/certificate reloaded/).length, 2);
  assert.equal(sockets, 2);
});

test('a gateway whose certificate cannot be used does not start, and says which setting it is', async () => {
  const config = configSchema.parse({
    secret: SITE_SECRET,
    gateway: { tls: { certificates: [{ cert: '/nowhere/a.crt', key: '/nowhere/a.key' }] } },
    pools: {
      shop: {
        session: { cookie: 'sid' },
        backends: { 'app-1': { url: 'http://127.0.0.1:1', agent: 'http://127.0.0.1:2' } },
      },
    },
  });
  const start = startGateway({ config, logger: recordedLog().logger, store: emptyStore() });
  await assert.rejects(start, (error: unknown) => {
    assert.ok(error instanceof StickshiftError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /^gateway\.tls\.certificates\.0\.cert: there is no \/nowhere\/a\.crt/);
    return true;
  });
});

test('a gateway that stops lets requests by TLS finish, and takes nothing new', async () => {
  const stopping = await SmallSite.start({ gateway: { tls: files.settings('shop') } });
  let finish: (() => void) | undefined;
  stopping.serve(() => (_request, response) => {
    finish = () => response.end('finished');
  });
  const answer = requestByTls(stopping.port, { rejectUnauthorized: false });
  await eventually('it is under way', () => finish !== undefined);
  const stopped = stopping.stop();
  await assert.rejects(connectByTls(stopping.port));
  finish?.();
  assert.equal((await answer).body, 'finished');
  await stopped;
});
