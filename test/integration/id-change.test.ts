import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { REPLACEMENT_TIMES } from '../../session-agent/id-change/replacement.ts';
import { SessionAgent } from '../../session-agent/session-agent.ts';
import { createExpressSource } from '../../session-agent/sources/express/express-source.ts';
import { keyOf, PATIENCE_MS, seal } from '../../session-agent/testing/agent-under-test.ts';
import { MemoryStore } from '../../session-agent/testing/memory-store.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { eventually } from '../services/eventually.ts';
import { localRedisRequirement } from '../services/redis.ts';
import { type LocalRedis, startLocalRedis } from '../services/redis-process.ts';
import { SmallInstallation } from '../services/small-installation.ts';
import { Browser } from '../services/small-shop.ts';
import { TroubledRedis } from '../services/troubled-redis.ts';

const root = join(import.meta.dirname, '..', '..');
const logger = pino({ level: 'silent' });

describe('a login', () => {
  let installation: SmallInstallation;
  before(async () => {
    installation = await SmallInstallation.start();
  });
  after(() => installation[Symbol.asyncDispose]());

  test('retires the old ID everywhere, before it is answered', async () => {
    const visitor = installation.visitor();
    const { server } = await visitor.post('/cart/tea');
    const thief = visitor.at(installation.gateway);
    const stranger = visitor.at(installation.gateway, ['connect.sid']);
    const old = visitor.sessionId;
    assert.equal((await visitor.post('/login/ann')).status, 200);
    const store = await installation.openStore();
    assert.equal((await store.lookup(installation.keyOf(old)))?.state, 'ended');
    assert.equal((await store.lookup(installation.keyOf(visitor.sessionId)))?.state, 'active');
    await store.close();

    for (const other of [thief, stranger]) assert.deepEqual((await other.get('/cart')).body, []);
    await installation.server(server).stop();
    await installation.sees(server ?? '', false);
    for (const other of [thief, stranger]) assert.deepEqual((await other.get('/cart')).body, []);
    assert.deepEqual((await visitor.get('/cart')).body, ['tea']);
    await installation.server(server).start();
    await installation.sees(server ?? '', true);
  });
});

describe('a login while the store stalls', localRedisRequirement(), () => {
  let redis: LocalRedis;
  let door: TroubledRedis;
  let installation: SmallInstallation;
  let store: SnapshotStore;
  before(async () => {
    redis = await startLocalRedis();
    door = await TroubledRedis.start(redis.url);
    installation = await SmallInstallation.start({
      storeUrl: door.url,
      gateway: { timeouts: { hold: '1500ms' } },
    });
    store = await installation.openStore(redis.url);
  });
  beforeEach(() => installation.reachesStore());
  after(async () => {
    door.trouble = 'none';
    await store.close();
    await installation[Symbol.asyncDispose]();
    await door[Symbol.asyncDispose]();
    await redis.stop();
  });

  for (const trouble of ['stalled', 'away'] as const) {
    test(`(${trouble}) is not answered for, and in the end one of its two IDs is good and the other is not`, async () => {
      const visitor = installation.visitor();
      await visitor.post('/cart/tea');
      const old = visitor.sessionId;
      door.trouble = trouble;
      const login = await visitor.post('/login/ann');
      assert.equal(login.status, 503);
      assert.equal((login.body as { code?: string }).code, 'COMMIT_UNKNOWN');
      assert.equal(visitor.sessionId, old, 'nobody was told of a new session');
      door.trouble = 'none';
      await eventually('a login that works', async () => {
        return (await visitor.post('/login/ann')).status === 200;
      });
      const states = await Promise.all(
        [old, visitor.sessionId].map(async (id) => (await store.lookup(installation.keyOf(id)))?.state),
      );
      assert.deepEqual(states, ['ended', 'active']);
    });
  }
});

describe('an Express app that is killed in the middle of a login', () => {
  const store = new MemoryStore();
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stickshift-login-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  /** An app in a process of its own, and the agent beside it. */
  async function appServer(t: TestContext, backend: string) {
    const listen = join(directory, `${backend}.sock`);
    const source = createExpressSource({ listen, token: 'token', backend, logger });
    const agent = new SessionAgent({
      ...{ backend, source, store, seal, deriveKey: keyOf, logger },
      limits: { session: 1_000_000, sessions: 1_000, commits: 4 },
      lifetime: { absolute: undefined, tombstone: 3_600_000 },
      leases: { formerLife: false },
      // However slow this machine is.
      idChangeTimes: { replacementTimes: { ...REPLACEMENT_TIMES, written: 600_000 } },
    });
    await agent.start();
    const app: ChildProcess = spawn(
      process.execPath,
      [join(import.meta.dirname, 'fixtures', 'express-app.cjs')],
      {
        env: {
          ...process.env,
          AGENT: listen,
          STICKSHIFT_CLIENT: join(root, 'session-agent', 'express-client', 'stickshift-store.ts'),
          NODE_PATH: join(root, 'node_modules'),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    t.after(async () => {
      app.kill('SIGKILL');
      await agent.stop(0);
    });
    assert.ok(app.stdout);
    const [port] = (await once(createInterface(app.stdout), 'line')) as [string];
    const url = `http://127.0.0.1:${port}`;
    await eventually('the agent is ready', () => agent.notReady === undefined);
    return { agent, source, app, url };
  }

  test('leaves the session to be taken over under the ID that its user has', async (t) => {
    const [one, two] = [await appServer(t, 'app-1'), await appServer(t, 'app-2')];
    const browser = new Browser(() => one.url);
    await browser.post('/cart/tea');
    const { sessionId, cookie } = browser;
    assert.equal((await one.agent.commit([sessionId], PATIENCE_MS))[0]?.outcome, 'committed');

    const login = assert.rejects(browser.post('/hanging-login/ann'));
    const both = await eventually('the new session is in the app', async () => {
      const ids = await one.source.list();
      return !ids.includes(sessionId) && ids.length === 1 && ids;
    });
    one.app.kill('SIGKILL');
    await login;
    await eventually('the agent has noticed', () => one.agent.notReady !== undefined);

    assert.equal((await two.agent.adopt(sessionId, 1)).outcome, 'found');
    assert.deepEqual(await new Browser(() => two.url, cookie).get('/cart'), ['tea']);
    assert.equal(await store.lookup(keyOf(both[0] ?? '')), undefined);
  });
});
