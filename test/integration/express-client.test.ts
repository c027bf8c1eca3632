import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import type { Express } from 'express';
import { pino } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { StickshiftStore } from '../../session-agent/express-client/stickshift-store.ts';
import { createExpressSource } from '../../session-agent/sources/express/express-source.ts';
import type { CapturedSession } from '../../session-agent/sources/session-source.ts';
import { RecordingListener } from '../contract/session-source/recording-listener.ts';
import { Browser, smallShop } from '../services/small-shop.ts';

const HOUR = 3_600_000;
const logger = pino({ level: 'silent' });
const directory = await mkdtemp(join(tmpdir(), 'stickshift-app-'));
after(() => rm(directory, { recursive: true, force: true }));
let sockets = 0;

async function served(t: TestContext, app: Express): Promise<string> {
  const server: Server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An app server with its agent's source beside it. */
async function appServer(t: TestContext, { timeout = 10_000 } = {}) {
  const listen = join(directory, `${++sockets}.sock`);
  const makeSource = () => createExpressSource({ listen, token: 'token', backend: 'app-1', logger });
  const server = { listener: new RecordingListener(), source: makeSource() };
  await server.source.start(server.listener);
  const store = new StickshiftStore({ agent: listen, timeout });
  store.on('agentDown', () => undefined);
  const [arrived, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const pause = () => {
    arrived.resolve();
    return going.promise;
  };
  const url = await served(t, smallShop(store, pause));
  await server.listener.heardTimes('attached', 1);
  t.after(async () => {
    store.close();
    await server.source.stop();
  });
  return Object.assign(server, {
    url,
    store,
    /** Resolves when a slow request has arrived, which waits until it may go on. */
    arrived: arrived.promise,
    goOn: going.resolve,
    killAgent: () => server.source.stop(),
    reviveAgent: async () => {
      server.source = makeSource();
      server.listener = new RecordingListener();
      await server.source.start(server.listener);
    },
    browser: (cookie?: string) => new Browser(() => url, cookie),
  });
}

const basketOf = (captured: CapturedSession | undefined) =>
  (JSON.parse(Buffer.from(captured?.data ?? []).toString()) as { basket?: string[] }).basket;

describe('an Express app with StickshiftStore', () => {
  test('has told its agent of a change before the client has the answer', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    assert.deepEqual(await browser.post('/cart/tea'), ['tea']);
    assert.equal(app.listener.of(browser.sessionId, 'changed').length, 1);
    assert.deepEqual(basketOf(await app.source.capture(browser.sessionId)), ['tea']);
    assert.deepEqual(await browser.get('/cart'), ['tea']);
  });

  test('a session goes on at another app server with all that belongs to it', async (t) => {
    const [one, two] = [await appServer(t), await appServer(t)];
    const before = one.browser();
    await before.post('/cart/tea');
    const id = before.sessionId;
    two.listener.onMissed = (missed) => (missed === id ? one.source.capture(id) : Promise.resolve(undefined));

    const browser = two.browser(before.cookie);
    const cookie = (await browser.get('/cookie')) as Record<string, unknown>;
    assert.equal(cookie.originalMaxAge, HOUR);
    assert.ok((cookie.maxAge as number) > HOUR / 2 && (cookie.maxAge as number) <= HOUR);
    assert.deepEqual([cookie.path, cookie.httpOnly], ['/', true]);
    assert.deepEqual(await browser.post('/cart/cake'), ['tea', 'cake']);
    assert.equal(browser.sessionId, id);
    assert.equal(await browser.post('/reload'), null);
    assert.deepEqual(basketOf(await two.source.capture(id)), ['tea', 'cake']);
  });

  test('a session that was installed is there without a question', async (t) => {
    const [one, two] = [await appServer(t), await appServer(t)];
    const before = one.browser();
    await before.post('/cart/tea');
    const captured = await one.source.capture(before.sessionId);
    assert.ok(captured);
    await two.source.install(before.sessionId, captured);
    await one.source.forget(before.sessionId);
    assert.deepEqual(await two.browser(before.cookie).get('/cart'), ['tea']);
    assert.equal(two.listener.count('missed'), 0);
  });

  test('a new ID at login replaces the old session', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    await browser.post('/cart/tea');
    const old = browser.sessionId;
    await browser.post('/login/ann');
    assert.notEqual(browser.sessionId, old);
    assert.deepEqual(app.listener.of(old).at(-1), {
      what: 'replaced',
      id: old,
      successor: browser.sessionId,
    });
    assert.equal(app.listener.count('ended'), 0);
    assert.deepEqual(await browser.get('/cart'), ['tea']);
    assert.deepEqual(await app.source.list(), [browser.sessionId]);
  });

  test('a request beside a login cannot bring the old session back, and the agent hears of it', async (t) => {
    const app = await appServer(t);
    app.listener.onReplaced = () => new Promise(() => undefined);
    const browser = app.browser();
    await browser.post('/cart/tea');
    const old = browser.sessionId;
    const slow = app.browser(browser.cookie).post('/slow/cake');
    await app.arrived;
    await browser.post('/login/ann');
    const told = app.listener.of(old, 'changed').length;
    app.goOn();
    await slow;
    assert.equal(app.listener.of(old, 'changed').length, told + 1);
    assert.deepEqual(await app.source.list(), [browser.sessionId]);
  });

  test('a logout waits for its tombstone, and the old cookie opens nothing', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    await browser.post('/cart/tea');
    const old = browser.cookie;
    assert.equal(await browser.post('/logout'), 'bye');
    assert.equal(app.listener.count('ended'), 1);
    assert.deepEqual(await app.browser(old).get('/cart'), []);
  });

  test('a logout that cannot be saved is an error for the user', async (t) => {
    const app = await appServer(t);
    app.listener.onEnded = async () => {
      throw new StickshiftError('STORE_UNREACHABLE', 'the store is away');
    };
    const browser = app.browser();
    await browser.post('/cart/tea');
    const response = await fetch(`${app.url}/logout`, {
      method: 'POST',
      headers: { cookie: browser.cookie },
    });
    assert.equal(response.status, 503);
  });

  test('reading a session moves its deadline', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    await browser.post('/cart/tea');
    await browser.get('/cart');
    await app.listener.heard('touched', browser.sessionId);
  });

  test('while its agent restarts users notice a delay at most', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    await browser.post('/cart/tea');
    await app.killAgent();
    assert.deepEqual(await browser.get('/cart'), ['tea']);
    const adding = browser.post('/cart/cake');
    await app.reviveAgent();
    assert.deepEqual(await adding, ['tea', 'cake']);
    await app.listener.heard('changed', browser.sessionId);
    assert.deepEqual(await app.source.list(), [browser.sessionId]);
    assert.deepEqual(basketOf(await app.source.capture(browser.sessionId)), ['tea', 'cake']);
  });

  test('while its agent stays away known sessions go on, and unknown ones are refused', async (t) => {
    const app = await appServer(t, { timeout: 2_000 });
    const browser = app.browser();
    await browser.post('/cart/tea');
    const other = browser.cookie;
    await app.source.forget(browser.sessionId);
    await browser.post('/cart/new');
    const known = app.browser();
    await known.post('/cart/tea');
    await app.source.forget(browser.sessionId);
    await app.killAgent();
    assert.deepEqual(await known.post('/cart/cake'), ['tea', 'cake']);
    assert.equal(await app.browser(other).status('/cart'), 503);
    await app.reviveAgent();
    await app.listener.heard('changed', known.sessionId);
    assert.deepEqual(basketOf(await app.source.capture(known.sessionId)), ['tea', 'cake']);
  });

  test('a session that cannot be looked up gets an error and no new cookie', async (t) => {
    const app = await appServer(t);
    const browser = app.browser();
    await browser.post('/cart/tea');
    await app.source.forget(browser.sessionId);
    app.listener.onMissed = async () => {
      throw new StickshiftError('STORE_TIMEOUT', 'no answer');
    };
    const cookie = browser.cookie;
    const response = await fetch(`${app.url}/cart/cake`, { method: 'POST', headers: { cookie } });
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('set-cookie'), null);
    assert.deepEqual(await app.source.list(), []);
  });
});
