import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { AGENT_API, type CommitRequest, type SessionCommit } from '../../protocol/agent-api.ts';
import { CertificateFiles } from '../services/certificate-files.ts';
import { eventually } from '../services/eventually.ts';
import { inFlightAt } from '../services/gateway-status.ts';
import { answerTo, Http2Client } from '../services/http2-client.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { SmallSite } from '../services/small-site.ts';
import { connectByTls } from '../services/tls-client.ts';

const MEBIBYTE = 1024 * 1024;

let files: CertificateFiles;
let site: SmallSite;
let client: Http2Client;
before(async () => {
  files = await CertificateFiles.create();
  await files.put('shop', ['shop.example']);
  site = await SmallSite.start({ gateway: { tls: files.settings('shop') } });
  client = await Http2Client.connect(site.port);
});
after(async () => {
  client.destroy();
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

describe('a request over HTTP/2', () => {
  test('is routed as over HTTP/1.1: bound by a cookie that is Secure, and sent where the cookie says', async () => {
    const first = await client.ask();
    assert.equal(first.status, 200);
    const [cookie = ''] = first.headers['set-cookie'] ?? [];
    assert.match(cookie, /^stickshift=v1\..*; Secure/);
    for (let i = 0; i < 5; i++) {
      const again = await client.ask({ cookie: ['theme=dark', cookie.split(';')[0] ?? ''] });
      assert.deepEqual(again.body, first.body);
      assert.equal(again.headers['set-cookie'], undefined);
    }
  });

  test('runs beside the others of its connection, and is answered when it is done', async () => {
    const waiting: (() => void)[] = [];
    site.serve(() => (request, response) => {
      if (request.url === '/slow') waiting.push(() => response.end('slow'));
      else response.end('fast');
    });
    const slow = Array.from({ length: 20 }, () => client.ask({ ':path': '/slow' }));
    await eventually('all of them are under way', () => waiting.length === 20);
    assert.equal(String((await client.ask({ ':path': '/fast' })).body), 'fast');
    for (const finish of waiting) finish();
    for (const answer of slow) assert.equal(String((await answer).body), 'slow');
  });

  test('gets the answer’s fields without those of the backend’s connection', async () => {
    site.serve(() => (_request, response) => {
      response.writeHead(200, [
        ...[
          'Connection',
          'X-Private, close',
          'X-Private',
          '1',
          'Keep-Alive',
          'timeout=5',
          'X-Kept',
          'caf\xe9',
        ],
        ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Location', '/1', 'Location', '/2'],
      ]);
      response.end('ok');
    });
    const { status, headers, body } = await client.ask();
    assert.equal(status, 200);
    assert.equal(String(body), 'ok');
    for (const name of ['connection', 'x-private', 'keep-alive', 'transfer-encoding']) {
      assert.equal(headers[name], undefined, name);
    }
    assert.equal(headers['x-kept'], 'caf\xe9');
    assert.deepEqual(headers['set-cookie']?.slice(0, 2), ['a=1', 'b=2']);
  });

  test('with HEAD, and one that is answered 204, 205 or 304, gets a head and no body', async () => {
    site.serve(() => (request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, {
        etag: '"1"',
        ...(request.method === 'HEAD' && { 'content-length': 1000 }),
      });
      response.end();
    });
    const head = await client.ask({ ':method': 'HEAD', ':path': '/200' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '1000', 0]);
    for (const status of [204, 205, 304]) {
      const answer = await client.ask({ ':path': `/${status}` });
      assert.deepEqual([answer.status, answer.headers.etag, answer.body.length], [status, '"1"', 0]);
    }
    await eventually('all of them are over', async () => (await inFlightAt(site.gateway)) === 0);
  });

  test('that the gateway cannot serve is told so in the form it accepts', async () => {
    const refused = await client.ask({ ':method': 'TRACE', accept: 'text/html' });
    assert.equal(refused.status, 405);
    assert.match(String(refused.body), /^<!doctype html>/);
    site.lookup = () => {
      throw new Error('the store is away');
    };
    const unknown = await client.ask({ cookie: 'sid=unknown' });
    assert.equal(unknown.status, 503);
    assert.equal(unknown.headers['content-type'], 'application/problem+json');
    assert.ok(unknown.headers['retry-after']);
    const head = await client.ask({ ':method': 'HEAD', cookie: 'sid=unknown' });
    assert.deepEqual([head.status, head.body.length], [503, 0]);
  });

  test('whose app gives a status that HTTP/2 has not gets 502', async () => {
    site.serve(() => (_request, response) => response.writeHead(999).end('odd'));
    assert.equal((await client.ask()).status, 502);
    assert.equal((await client.ask({ ':method': 'POST', cookie: 'sid=abc' }, 'x')).status, 502);
  });

  test('that asks to go on with its body is told to', async () => {
    site.serve(() => (request, response) => {
      assert.equal(request.headers.expect, undefined);
      request.pipe(response);
    });
    const stream = client.open({ ':method': 'POST', expect: '100-continue' }, false);
    const answer = answerTo(stream);
    await once(stream, 'continue');
    stream.end('body');
    assert.equal(String((await answer).body), 'body');
  });

  test('leaves nothing behind when its client resets it, and its backend hears of it', async () => {
    const received: { socket: Socket }[] = [];
    site.serve(() => (request) => {
      received.push(request);
      request.resume();
    });
    const streams = [
      client.open(),
      client.open({ ':method': 'HEAD' }),
      client.open({ ':method': 'POST' }, false),
      client.open({ ':method': 'POST', 'content-length': 100 }, false),
    ];
    // Node sends the head of a request together with the beginning of its body.
    for (const stream of streams.slice(2)) stream.write('x');
    await eventually('all of them are under way', () => received.length === streams.length);
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await eventually('the backend is told', () => received.every(({ socket }) => socket.destroyed));
    await eventually('none is in flight', async () => (await inFlightAt(site.gateway)) === 0);
    site.serve(() => (_request, response) => response.end('ok'));
    assert.equal(String((await client.ask()).body), 'ok');
  });

  test('whose answer breaks off is reset, and is never whole to look at', async () => {
    for (const head of [{}, { 'content-length': '100' }]) {
      site.serve(() => (_request, response) => {
        response.writeHead(200, head);
        response.write('half');
        setTimeout(() => response.destroy(), 50);
      });
      await assert.rejects(client.ask(), /NGHTTP2_INTERNAL_ERROR/);
    }
  });

  test('is read by the backend as fast as it takes it, and no faster', async () => {
    let take: (() => void) | undefined;
    let taken = 0;
    site.serve(() => (request, response) => {
      take = () => request.resume();
      request.on('data', (chunk: Buffer) => {
        taken += chunk.length;
      });
      request.pause();
      request.on('end', () => response.end(String(taken)));
    });
    const stream = client.open({ ':method': 'POST' }, false);
    const answer = answerTo(stream);
    let sent = 0;
    const sending = (async () => {
      for (; sent < 64; sent += 1) {
        if (!stream.write(Buffer.alloc(MEBIBYTE))) await once(stream, 'drain');
      }
      stream.end();
    })();
    await eventually('the app has it', () => take !== undefined);
    // It is held back, and holds back nobody else.
    assert.equal((await client.ask({ ':method': 'TRACE' })).status, 405);
    assert.ok(sent < 32);
    take?.();
    await sending;
    assert.equal(String((await answer).body), String(64 * MEBIBYTE));
  });

  test('reads its answer as slowly as it likes, and the backend waits', async (t) => {
    const slow = await Http2Client.connect(site.port);
    t.after(() => slow.destroy());
    let written = 0;
    site.serve(() => async (_request, response) => {
      for (; written < 64; written += 1) {
        if (!response.write(Buffer.alloc(MEBIBYTE))) await once(response, 'drain');
      }
      response.end();
    });
    const stream = slow.open();
    await once(stream, 'response');
    await eventually('something is written', () => written > 0);
    const before = written;
    assert.equal(String((await slow.ask({ ':method': 'TRACE' })).status), '405');
    assert.ok(before < 64);
    let length = 0;
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    await once(stream, 'close');
    assert.equal(length, 64 * MEBIBYTE);
  });

  test('that is answered before its body has come is told that the rest is not wanted', async () => {
    site.lookup = () => {
      throw new Error('the store is away');
    };
    const stream = client.open({ ':method': 'POST', cookie: 'sid=unheard-of' }, false);
    stream.write('some of it');
    const { status } = await answerTo(stream);
    assert.equal(status, 503);
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });

  test('goes on sending its body where the app has answered and reads on', async () => {
    let received = '';
    let ended = false;
    site.serve(() => (request, response) => {
      response.end('early');
      request.on('data', (chunk) => {
        received += chunk;
      });
      request.on('end', () => {
        ended = true;
      });
    });
    const stream = client.open({ ':method': 'POST' }, false);
    stream.write('first ');
    await once(stream, 'response');
    stream.resume();
    await once(stream, 'end');
    stream.end('second');
    await eventually('the app has all of it', () => ended);
    assert.equal(received, 'first second');
  });
});

describe('the answer to a write over HTTP/2', () => {
  const agentsSay = (commit: () => Promise<SessionCommit>) => {
    for (const { agent } of site.apps) {
      agent.replies[AGENT_API.commit] = async ({ body }) => {
        const answer = await commit();
        return { body: { sessions: (body as CommitRequest).sessionIds.map(() => answer) } };
      };
    }
  };

  test('waits for its commit, and other streams do not wait for it', async () => {
    site.serve(() => (_request, response) => response.end('bought'));
    let commit: (() => void) | undefined;
    agentsSay(
      () =>
        new Promise((resolve) => {
          commit = () => resolve({ outcome: 'committed', epoch: 1, seq: 1 });
        }),
    );
    let isHeld = true;
    const held = client.ask({ ':method': 'POST', cookie: 'sid=abc' }, 'x').finally(() => {
      isHeld = false;
    });
    await eventually('the agent is asked', () => commit !== undefined);
    assert.equal((await client.ask()).status, 200);
    assert.ok(isHeld);
    commit?.();
    assert.equal(String((await held).body), 'bought');
  });

  test('is withheld when the session has moved', async () => {
    site.serve(() => (_request, response) => response.end('bought'));
    agentsSay(async () => ({ outcome: 'fenced' }));
    const answer = await client.ask({ ':method': 'POST', cookie: 'sid=abc' }, 'x');
    assert.equal(answer.status, 503);
    assert.match(String(answer.body), /COMMIT_FENCED/);
    assert.doesNotMatch(String(answer.body), /bought/);
  });
});

test('a gateway that stops lets streams finish, refuses new ones, and ends those that would not end', async () => {
  const stopping = await SmallSite.start({
    gateway: { tls: files.settings('shop'), timeouts: { shutdown: '2s' } },
  });
  let finish: (() => void) | undefined;
  stopping.serve(() => (request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
    } else if (request.url === '/slow') {
      finish = () => response.end('finished');
    }
  });
  const [busy, idle, stuck] = await Promise.all([0, 1, 2].map(() => Http2Client.connect(stopping.port)));
  const slow = busy?.ask({ ':path': '/slow' });
  const events = busy?.open({ ':path': '/events' });
  const never = stuck?.ask({ ':path': '/never' });
  assert.ok(events && slow && busy && idle && stuck && never);
  const eventsEnd = new Promise((resolve) => events.once('close', resolve));
  await once(events, 'data');
  await eventually('it is under way', () => finish !== undefined);
  const goaway = once(busy.session, 'goaway');
  const idleEnd = once(idle.session, 'close');
  const neverEnd = assert.rejects(never);
  const stopped = stopping.stop();
  assert.equal((await goaway)[0], constants.NGHTTP2_NO_ERROR);
  await Promise.all([idleEnd, eventsEnd]);
  await assert.rejects(busy.ask({ ':path': '/more' }));
  finish?.();
  assert.equal(String((await slow).body), 'finished');
  await neverEnd;
  await stopped;
});

test('a connection that nobody uses is closed in time', async (t) => {
  const short = await SmallSite.start({
    gateway: { tls: files.settings('shop'), timeouts: { keepAlive: '200ms', head: '300ms' } },
  });
  t.after(() => short.stop());
  let finish: (() => void) | undefined;
  short.serve(() => (request, response) => {
    if (request.url === '/slow') finish = () => response.end('slow');
    else response.end('ok');
  });
  const unused = await connectByTls(short.port, { ALPNProtocols: ['h2'] });
  unused.resume();
  const unusedEnd = once(unused, 'close');
  const busy = await Http2Client.connect(short.port);
  const ended = once(busy.session, 'close');
  const slow = busy.ask({ ':path': '/slow' });
  await eventually('it is under way', () => finish !== undefined);
  await unusedEnd;
  // Longer than an idle connection stays, it has waited for its answer.
  finish?.();
  assert.equal(String((await slow).body), 'slow');
  await ended;
});

test('a session is kept over HTTP/2 when its server stops, and over HTTP/1.1 goes on with what it has', async (t) => {
  const installation = await SmallInstallation.start({ gateway: { tls: files.settings('shop') } });
  t.after(() => installation[Symbol.asyncDispose]());
  const visitor = await Http2Client.connect(Number(new URL(installation.gateway.url).port));
  t.after(() => visitor.destroy());
  const jar = new Map<string, string>();
  const visit = async (method: string, path: string) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`);
    const answer = await visitor.ask({ ':method': method, ':path': path, cookie });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [pair = ''] = line.split(';');
      const equals = pair.indexOf('=');
      jar.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
    return { ...answer, server: String(answer.headers['x-server']), json: JSON.parse(String(answer.body)) };
  };
  const { server: holder, json: basket } = await visit('POST', '/cart/tea');
  assert.deepEqual(basket, ['tea']);
  assert.deepEqual((await visit('POST', '/cart/cake')).json, ['tea', 'cake']);
  await installation.server(holder).stop();
  const moved = await eventually('the session is served elsewhere', async () => {
    const answer = await visit('GET', '/cart');
    return answer.status === 200 && answer;
  });
  assert.deepEqual([moved.server, moved.json], [installation.other(holder).id, ['tea', 'cake']]);
  assert.deepEqual((await visit('POST', '/cart/jam')).json, ['tea', 'cake', 'jam']);
});
