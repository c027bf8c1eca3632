import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { eventually } from '../services/eventually.ts';
import { RawClient } from '../services/raw-client.ts';
import { recordOf, type SmallApp, SmallSite } from '../services/small-site.ts';

let site: SmallSite;
before(async () => {
  site = await SmallSite.start({ gateway: { limits: { connections: 100 } } });
});
after(() => site.stop());

interface SendOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
}

async function send({ method = 'GET', path = '/', headers = {}, body }: SendOptions = {}, { port } = site) {
  // Not as one URL: that would be normalised before it is sent.
  const outgoing = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false });
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (await buffer(answer)).toString('latin1'),
  };
}

function cookieOf(headers: IncomingMessage['headers'], name: string): string | undefined {
  const line = headers['set-cookie']?.find((candidate) => candidate.startsWith(`${name}=`));
  return line?.slice(0, line.indexOf(';') === -1 ? undefined : line.indexOf(';'));
}

describe('bodies', () => {
  test('of many megabytes go both ways unharmed', async () => {
    site.serve(() => async (request, response) => {
      const body = await buffer(request);
      response.end(Buffer.concat([body, body]));
    });
    const body = randomBytes(5 * 1024 * 1024);
    const outgoing = httpRequest(site.url, { method: 'PUT', agent: false });
    outgoing.end(body);
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    const expected = createHash('sha256').update(body).update(body).digest('hex');
    assert.equal(
      createHash('sha256')
        .update(await buffer(answer))
        .digest('hex'),
      expected,
    );
  });

  test('are not collected in the gateway when the client does not read', async () => {
    const total = 256 * 1024 * 1024;
    let written = 0;
    let stuck = false;
    site.serve(() => (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const pump = () => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) {
            stuck = true;
            response.once('drain', pump);
            return;
          }
        }
        response.end();
      };
      pump();
    });
    const client = await RawClient.connect(site.port);
    client.socket.pause();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('the app has to wait', () => stuck);
    let before = -1;
    await eventually('nothing moves any more', async () => {
      const same = written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return same;
    });
    assert.ok(written < total / 4, `${written} bytes left the app with nobody reading`);
    client.destroy();
  });

  test('of a chunked DELETE arrive with their length, and nothing of them is read as a request', async () => {
    const seen: string[] = [];
    site.serve(() => async (request, response) => {
      const length = request.headers['content-length'];
      seen.push(`${request.method} ${request.url} ${length} ${await text(request)}`);
      response.end();
    });
    const client = await RawClient.connect(site.port);
    client.send(
      'DELETE /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n' +
        'GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    await client.until(() => client.closed);
    assert.deepEqual(seen, ['DELETE /a 5 hello', 'GET /b undefined ']);
  });

  test('of a chunked OPTIONS beyond the spool limit get 411', async () => {
    site.serve(() => (_request, response) => response.end());
    const client = await RawClient.connect(site.port);
    client.send('OPTIONS /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    for (let sent = 0; sent < 32; sent++) client.send(chunk);
    await client.answered(1);
    assert.equal(client.responses().messages[0]?.status, 411);
    client.destroy();
  });
});

describe('targets', () => {
  test('reach the app as they were sent', async () => {
    site.serve(() => (request, response) => response.end(request.url));
    for (const path of ['/a/../b', '//x', '/?', '/a??b', '/%2e%2e/', '/a;b=c?d=/../']) {
      assert.equal((await send({ path })).body, path);
    }
  });
});

describe('connections to an app', () => {
  /** More than a request is tried. */
  const MANY = 12;

  test('are kept and used again', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    const first = await send();
    const cookie = cookieOf(first.headers, 'stickshift') ?? '';
    for (let i = 0; i < 10; i++) await send({ headers: { cookie } });
    assert.equal(site.app(first.body).connections.size, 1);
  });

  test('that were closed meanwhile cost a GET nothing', async () => {
    const { app, cookie } = await withDyingConnections();
    const answer = await send({ headers: { cookie } });
    assert.deepEqual([answer.status, answer.body], [200, app.id]);
  });

  test('that were all closed meanwhile cost a GET nothing either, however many there are', async () => {
    const { app, cookie } = await withDyingConnections();
    const dying = app.serve;
    const waiting: (() => void)[] = [];
    // Nobody is answered before all have come, so that each has a connection of its own.
    app.serve = (request, response) => {
      waiting.push(() => dying(request, response));
      if (waiting.length < MANY) return;
      app.serve = dying;
      for (const answer of waiting) answer();
    };
    await Promise.all(Array.from({ length: MANY }, () => send({ headers: { cookie } })));
    const answer = await send({ headers: { cookie } });
    assert.deepEqual([answer.status, answer.body], [200, app.id]);
  });

  test('that were closed meanwhile fail a POST, which may have run and is never sent twice', async () => {
    const { app, cookie } = await withDyingConnections();
    const before = app.requests;
    const answer = await send({ method: 'POST', headers: { cookie }, body: 'buy' });
    assert.equal(answer.status, 502);
    assert.match(answer.headers['proxy-status'] as string, /connection_terminated/);
    assert.equal(app.requests, before + 1);
  });

  test('that break before the answer fail a request that may have run', async (t) => {
    // Without connections from earlier tests: one of those might have been closed, and a GET may then be sent again.
    const fresh = await SmallSite.start();
    t.after(() => fresh.stop());
    fresh.serve(() => (request) => request.socket.destroy());
    assert.equal((await fetch(fresh.url)).status, 502);
    assert.equal(fresh.apps[0].requests + fresh.apps[1].requests, 1);
  });

  test('that stay silent end in 504, and the client learns nothing of the app', async (t) => {
    const impatient = await SmallSite.start({ gateway: { timeouts: { firstByte: '500ms' } } });
    t.after(() => impatient.stop());
    impatient.serve(() => () => undefined);
    const answer = await send({ headers: { accept: 'application/json' } }, impatient);
    assert.equal(answer.status, 504);
    assert.match(answer.headers['proxy-status'] as string, /http_response_timeout/);
    assert.doesNotMatch(JSON.stringify(answer), /app-1|app-2|127\.0\.0\.1|\.ts/);
  });

  /** An app that closes each pooled connection at the next request on it. */
  async function withDyingConnections(): Promise<{ app: SmallApp; cookie: string }> {
    site.serve((app) => {
      const used = new WeakSet();
      return (request, response) => {
        if (used.has(request.socket)) {
          request.socket.destroy();
          return;
        }
        used.add(request.socket);
        response.end(app.id);
      };
    });
    const first = await send();
    return { app: site.app(first.body), cookie: cookieOf(first.headers, 'stickshift') ?? '' };
  }
});

describe('an app that refuses connections', () => {
  test('costs no request, of whatever method, and no byte of its body', async (t) => {
    const lonely = await SmallSite.start();
    t.after(() => lonely.stop());
    lonely.serve((app) => async (request, response) => response.end(`${app.id} ${await text(request)}`));
    lonely.apps[0].server.closeAllConnections();
    lonely.apps[0].server.close();
    for (let i = 0; i < 6; i++) {
      const answer = await fetch(lonely.url, { method: 'POST', body: `order ${i}` });
      assert.equal(await answer.text(), `app-2 order ${i}`);
    }
  });

  test('leaves 503 with Retry-After when there is no other', async (t) => {
    const lonely = await SmallSite.start();
    t.after(() => lonely.stop());
    for (const app of lonely.apps) {
      app.server.closeAllConnections();
      app.server.close();
    }
    const answer = await fetch(lonely.url);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '1');
  });
});

describe('affinity', () => {
  test('keeps a client on its backend; the app never sees the cookie', async () => {
    const cookies: (string | undefined)[] = [];
    site.serve((app) => (request, response) => {
      cookies.push(request.headers.cookie);
      response.end(app.id);
    });
    const first = await send();
    const cookie = cookieOf(first.headers, 'stickshift') ?? '';
    for (let i = 0; i < 10; i++) {
      const answer = await send({ headers: { cookie: `a=1; ${cookie}` } });
      assert.equal(answer.body, first.body);
      assert.equal(answer.headers['set-cookie'], undefined, 'set only when it changes');
    }
    assert.deepEqual([...new Set(cookies)], [undefined, 'a=1']);
  });

  test('comes beside the app’s own cookies, in an answer that no shared cache may store', async () => {
    site.serve(() => (_request, response) => {
      response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2']);
      response.setHeader('Cache-Control', 'public, max-age=60');
      response.end();
    });
    const answer = await send();
    const setCookies = answer.headers['set-cookie'] ?? [];
    assert.deepEqual(setCookies.slice(0, 2), ['a=1; Path=/', 'b=2']);
    assert.match(setCookies[2] as string, /^stickshift=v1\.[^;]+; .*Path=\/; HttpOnly; SameSite=Lax$/);
    assert.match(answer.headers['cache-control'] as string, /private/);
    assert.doesNotMatch(answer.headers['cache-control'] as string, /public/);
  });

  test('that is forged, garbled or doubled is no affinity, and the client gets a good one', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    const good = cookieOf((await send()).headers, 'stickshift') ?? '';
    const flipped = good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A');
    for (const cookie of [flipped, 'stickshift=', 'stickshift=v1.a.b', `stickshift=${'x'.repeat(4000)}`]) {
      const answer = await send({ headers: { cookie } });
      assert.equal(answer.status, 200);
      assert.ok(cookieOf(answer.headers, 'stickshift'), cookie.slice(0, 40));
    }
    const doubled = await send({ headers: { cookie: `stickshift=bad; ${good}` } });
    assert.equal(doubled.headers['set-cookie'], undefined);
  });

  test('without a cookie, a known session still finds its owner', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    site.lookup = () => recordOf('app-2', 5);
    for (let i = 0; i < 5; i++) {
      const sid = randomBytes(8).toString('hex');
      assert.equal((await send({ headers: { cookie: `sid=${sid}` } })).body, 'app-2');
    }
  });

  test('made for one session says nothing about another', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    site.lookup = () => recordOf('app-1', 1);
    const first = await send({ headers: { cookie: 'sid=of-app-1' } });
    const affinity = cookieOf(first.headers, 'stickshift') ?? '';
    site.lookup = () => recordOf('app-2', 1);
    const other = await send({ headers: { cookie: `sid=of-app-2; ${affinity}` } });
    assert.equal(other.body, 'app-2');
  });

  test('is not guessed while the store is away: 503, and the app sees nothing', async () => {
    site.serve((app) => (_request, response) => response.end(app.id));
    site.lookup = () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'connect ECONNREFUSED 10.1.2.3:6379');
    };
    const answer = await send({ headers: { cookie: 'sid=somewhere' } });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
    assert.doesNotMatch(JSON.stringify(answer), /10\.1\.2\.3/);
    assert.equal(site.apps[0].requests + site.apps[1].requests, 0);
  });
});

describe('pipelined requests', () => {
  test('are answered in their order', async () => {
    site.serve(() => (request, response) => {
      const delay = request.url === '/slow' ? 100 : 0;
      setTimeout(() => response.end(request.url), delay);
    });
    const client = await RawClient.connect(site.port);
    client.send(
      'GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    await client.until(() => client.closed);
    assert.deepEqual(
      client.responses().messages.map(({ body }) => body),
      ['/slow', '/quick'],
    );
  });
});
