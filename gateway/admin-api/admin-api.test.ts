import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import { createAgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import { GatewayCounters } from '../counters.ts';
import { createDrains } from '../drain/drains.ts';
import { OperatorStates } from '../drain/operator-states.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { eventually } from '../testing/eventually.ts';
import { json, startFakeServer } from '../testing/fake-server.ts';
import { type RawRequest, rawRequest } from '../testing/raw-request.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { StateStore } from '../testing/state-store.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { type AdminApiOptions, createAdminApi } from './admin-api.ts';
import type { ApiErrorBody, BackendStatus, StateAnswer, StatusAnswer } from './admin-api-types.ts';

const RECORD: RecordSummary = {
  state: 'active',
  owner: 'app-1',
  epoch: 3,
  seq: 17,
  size: 512,
  committedAt: 1_000,
  ageMs: 250,
  deadlines: { idleAt: 9_000, absoluteAt: 8_000 },
};

const AGENT_STATUS = {
  backend: 'app-1',
  application: 'shop',
  incarnation: 'i-1',
  ready: true,
  source: 'express',
  sessions: 3,
  dirty: 1,
  unprotected: 1,
  atRisk: 2,
  exposureMs: 12,
  store: 'ok',
  commits: { committed: 5, fenced: 0, stale: 0, ended: 0, failed: 0 },
  journal: { bytes: 0, entries: 0, failures: 0, replayed: 0, lostAtTakeover: 0 },
  reseeded: 0,
};

const { held, takeovers, errors } = new GatewayCounters();
const GATEWAY_REPORT = {
  startedAt: 1,
  webSockets: 0,
  storeSettlingMs: 0,
  held,
  holdTimeMs: 0,
  takeovers,
  unprotected: 0,
  errors,
};

type Lookup = (key: SessionKey) => Promise<RecordSummary | undefined>;

async function setUp(
  t: TestContext,
  options: Partial<Omit<AdminApiOptions, 'health'>> & { lookup?: Lookup; firstRoundDone?: boolean } = {},
) {
  const agent = await startFakeServer(t, ({ method }, response) =>
    json(response, 200, method === 'GET' ? AGENT_STATUS : { released: 0, remaining: 0, unprotected: 0 }),
  );
  const pool = testPool({ 'app-1': { agent: agent.url }, 'app-2': {} });
  const pools = options.pools ?? [pool];
  const backend = backendOf(pool, 'app-1');
  const log = recordedLog();
  const agentClient = createAgentClient({ token: 'agent-token', timeoutMs: 5_000 });
  const drains = createDrains({
    agentClient,
    inFlightSessions: () => [],
    closeConnections: () => undefined,
    logger: log.logger,
    noticeMs: 0,
  });
  const stateStore = new StateStore();
  const states = new OperatorStates({ pools, store: stateStore, drains, logger: log.logger });
  const { lookup = async () => undefined, firstRoundDone = true, ...rest } = options;
  const server = createServer(
    createAdminApi({
      pools,
      store: { lookup } as Partial<SnapshotStore> as SnapshotStore,
      health: { firstRoundDone } as Partial<HealthMonitor> as HealthMonitor,
      drains,
      states,
      agentClient,
      dataPlane: { refresh: async () => undefined, isLeased: ({ lease }) => lease.holds() },
      metricsHandler: undefined,
      gatewayStatus: () => GATEWAY_REPORT,
      loopback: true,
      logger: log.logger,
      defaultDeadlineMs: 60_000,
      ...rest,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    drains.close();
    agentClient.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    agent,
    pool,
    backend,
    drains,
    stateStore,
    log,
    url,
    port,
    ask: (path: string, request?: RawRequest) => rawRequest(url + path, request),
    post: (path: string, body: object) => rawRequest(url + path, { method: 'POST', body }),
  };
}

function up(backend: Backend): void {
  backend.appUp = true;
  backend.agentUp = true;
}

const errorOf = ({ json: body }: { json: unknown }) => (body as ApiErrorBody).error;

describe('GET /v1/status', () => {
  test('shows the gateway, its pools and their backends, with what the agents say', async (t) => {
    const { ask, backend } = await setUp(t);
    up(backend);
    const answer = await ask('/v1/status');
    assert.equal(answer.status, 200);
    const status = answer.json as StatusAnswer;
    assert.deepEqual(status.gateway, GATEWAY_REPORT);
    assert.equal(status.ready, true);
    const [pool] = status.pools;
    assert.deepEqual([pool?.name, pool?.application, pool?.accepting], ['shop', 'shop', 1]);
    const [first] = pool?.backends ?? [];
    assert.equal(first?.up, true);
    const { backend: _id, application: _application, ...said } = AGENT_STATUS;
    assert.deepEqual(first?.agent, { state: 'ok', ...said });
  });

  test('says which agents do not answer, and how', async (t) => {
    const { ask, agent } = await setUp(t);
    agent.answer = (_, response) => json(response, 200, { ...AGENT_STATUS, backend: 'app-7' });
    const { pools } = (await ask('/v1/status')).json as StatusAnswer;
    assert.deepEqual(
      pools[0]?.backends.map((backend) => backend.agent),
      [
        { state: 'unreachable', code: 'AGENT_MISMATCH' },
        { state: 'unreachable', code: 'AGENT_UNREACHABLE' },
      ],
    );
  });

  test('does not wait long for an agent that says nothing', async (t) => {
    const { ask, agent } = await setUp(t);
    agent.answer = () => undefined;
    const { pools } = (await ask('/v1/status')).json as StatusAnswer;
    assert.deepEqual(pools[0]?.backends[0]?.agent, { state: 'unreachable', code: 'AGENT_NO_ANSWER' });
  });
});

describe('GET /v1/backends/:id', () => {
  test('shows one backend', async (t) => {
    const { ask, backend } = await setUp(t);
    up(backend);
    backend.ejectedUntil = Date.now() + 60_000;
    const status = (await ask('/v1/backends/app-1')).json as BackendStatus;
    assert.equal(status.id, 'app-1');
    assert.equal(status.up, false);
    assert.equal(status.ejectedUntil, backend.ejectedUntil);
    assert.equal(status.drain, undefined);
  });

  test('is 404 for a backend that is not configured', async (t) => {
    const { ask } = await setUp(t);
    const answer = await ask('/v1/backends/app-9');
    assert.equal(answer.status, 404);
    assert.equal(errorOf(answer).code, 'NOT_FOUND');
  });

  test('wants the pool where two have a backend of that name', async (t) => {
    const pools = [testPool({ web: {} }, { name: 'shop' }), testPool({ web: {} }, { name: 'forum' })];
    const { ask } = await setUp(t, { pools });
    const answer = await ask('/v1/backends/web');
    assert.equal(answer.status, 400);
    assert.match(errorOf(answer).message, /shop, forum/);
    assert.equal(((await ask('/v1/backends/web?pool=forum')).json as BackendStatus).pool, 'forum');
    assert.equal((await ask('/v1/backends/web?pool=blog')).status, 400);
  });
});

describe('POST /v1/backends/:id/state', () => {
  test('begins a drain with the deadline asked for, and answers 202 with its progress', async (t) => {
    const { post, ask, backend, drains, log } = await setUp(t);
    const answer = await post('/v1/backends/app-1/state', { state: 'drain', deadlineMs: 5_000 });
    assert.equal(answer.status, 202);
    const { drain, adminState } = answer.json as StateAnswer;
    assert.equal(adminState, 'drain');
    assert.equal(drain?.reason, 'drain');
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 5_000);
    assert.equal(backend.adminState, 'drain');
    await eventually(() => drains.progress(backend)?.state === 'complete', 'the drain is complete');
    const shown = (await ask('/v1/backends/app-1/drain')).json as StateAnswer;
    assert.equal(shown.drain?.state, 'complete');
    assert.equal(log.matching(/operator set the state/).length, 1);
  });

  test('takes the configured deadline when none is named', async (t) => {
    const { post } = await setUp(t);
    const { drain } = (await post('/v1/backends/app-1/state', { state: 'drain' })).json as StateAnswer;
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 60_000);
  });

  test('gives maintenance no time', async (t) => {
    const { post } = await setUp(t);
    const body = { state: 'maintenance', deadlineMs: 5_000 };
    const { drain } = (await post('/v1/backends/app-1/state', body)).json as StateAnswer;
    assert.equal(drain?.reason, 'maintenance');
    assert.equal(drain && drain.deadlineAt - drain.startedAt, 0);
  });

  for (const [code, certainty] of [
    ['STORE_UNREACHABLE', /was not changed/],
    ['STORE_TIMEOUT', /may or may not have been changed/],
  ] as const) {
    test(`changes nothing while the store, by which the gateways share it, is ${code}`, async (t) => {
      const { post, backend, stateStore } = await setUp(t);
      stateStore.failure = new StickshiftError(code, 'no answer from redis:6379');
      const answer = await post('/v1/backends/app-1/state', { state: 'drain' });
      assert.equal(answer.status, 503);
      const { error } = answer.json as ApiErrorBody;
      assert.equal(error.code, code);
      assert.match(error.message, certainty);
      assert.equal(backend.adminState, 'ready');
    });
  }

  test('ends a drain by ready, and has older bindings checked', async (t) => {
    const { post, backend } = await setUp(t);
    await post('/v1/backends/app-1/state', { state: 'drain' });
    const before = Date.now();
    const answer = await post('/v1/backends/app-1/state', { state: 'ready' });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { backend: 'app-1', pool: 'shop', adminState: 'ready' });
    assert.ok(backend.upSince >= before);
  });

  for (const [what, body] of [
    ['a state that nobody knows', { state: 'off' }],
    ['a negative deadline', { state: 'drain', deadlineMs: -1 }],
    ['a deadline that is no number', { state: 'drain', deadlineMs: '60s' }],
    ['an unknown key', { state: 'drain', deadline: 5 }],
    ['a list', []],
  ] as const) {
    test(`refuses ${what} and changes nothing`, async (t) => {
      const { post, backend } = await setUp(t);
      const answer = await post('/v1/backends/app-1/state', body);
      assert.equal(answer.status, 400);
      assert.equal(errorOf(answer).code, 'BAD_REQUEST');
      assert.equal(backend.adminState, 'ready');
    });
  }

  for (const [what, request] of [
    ['text that is no JSON', { body: '{"state"', headers: { 'content-type': 'application/json' } }],
    ['another content type', { body: '{"state":"drain"}', headers: { 'content-type': 'text/plain' } }],
    ['no content type', { body: '{"state":"drain"}' }],
    ['a body that is too long', { body: { state: 'drain', pool: 'x'.repeat(20_000) } }],
  ] as [string, RawRequest][]) {
    test(`refuses ${what}`, async (t) => {
      const { ask, backend } = await setUp(t);
      const answer = await ask('/v1/backends/app-1/state', { method: 'POST', ...request });
      assert.equal(answer.status, 400);
      assert.equal(backend.adminState, 'ready');
    });
  }

  test('is 408 when the body does not arrive', async (t) => {
    const { port, log } = await setUp(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const head = [
      'POST /v1/backends/app-1/state HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
    ];
    socket.write(`${head.join('\r\n')}\r\nContent-Length: 100\r\n\r\n{"state"`);
    while (answer === '') {
      t.mock.timers.tick(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /connection: close/i);
    assert.equal(log.lines.at(-1)?.code, 'REQUEST_TIMEOUT');
  });
});

describe('POST /v1/sessions/lookup', () => {
  const look = (pool: Pool, id: string) => {
    const key = pool.sessionKey(id);
    return { key, lookup: async (asked: SessionKey) => (asked === key ? RECORD : undefined) };
  };
  const reference = testPool({ 'app-1': {} });

  test('finds a session by its ID, with its expiry', async (t) => {
    const { key, lookup } = look(reference, 'the-session');
    const { post } = await setUp(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: 'the-session' });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, {
      key,
      pool: 'shop',
      state: 'active',
      owner: 'app-1',
      epoch: 3,
      seq: 17,
      size: 512,
      ageMs: 250,
      expiresAt: 8_000,
    });
  });

  test('finds a session by its key', async (t) => {
    const { key, lookup } = look(reference, 'the-session');
    const { post } = await setUp(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: key });
    assert.deepEqual([answer.status, (answer.json as { pool?: string }).pool], [200, 'shop']);
  });

  test('finds a session whose ID looks like a key', async (t) => {
    const id = 'k'.repeat(43);
    const { key, lookup } = look(reference, id);
    const { post } = await setUp(t, { lookup });
    const answer = await post('/v1/sessions/lookup', { session: id });
    assert.equal((answer.json as { key: string }).key, key);
  });

  test('finds a session by what stands in its cookie', async (t) => {
    const pool = testPool({ 'app-1': {} }, { session: { cookie: 'connect.sid', format: 'express' } });
    const { key, lookup } = look(pool, 'abc');
    const { post } = await setUp(t, { lookup, pools: [pool] });
    const answer = await post('/v1/sessions/lookup', { session: 's%3Aabc.c2lnbmF0dXJl' });
    assert.equal((answer.json as { key: string }).key, key);
  });

  test('looks in every pool, or only in the one that is named', async (t) => {
    const shop = testPool({ web: {} }, { name: 'shop' });
    const forum = testPool({ web: {} }, { name: 'forum' });
    const { lookup } = look(forum, 'the-session');
    const { post } = await setUp(t, { lookup, pools: [shop, forum] });
    const found = await post('/v1/sessions/lookup', { session: 'the-session' });
    assert.equal((found.json as { pool?: string }).pool, 'forum');
    const elsewhere = await post('/v1/sessions/lookup', { session: 'the-session', pool: 'shop' });
    assert.equal(elsewhere.status, 404);
    const nowhere = await post('/v1/sessions/lookup', { session: 'the-session', pool: 'blog' });
    assert.equal(nowhere.status, 400, 'a pool that is not there is a mistake, not an absent session');
  });

  test('is 404 when the session is known to be absent', async (t) => {
    const { post } = await setUp(t);
    const answer = await post('/v1/sessions/lookup', { session: 'nobody' });
    assert.deepEqual([answer.status, errorOf(answer).code], [404, 'NOT_FOUND']);
  });

  test('is 503, not 404, when the store cannot tell', async (t) => {
    const { post } = await setUp(t, {
      lookup: async () => {
        throw new StickshiftError('STORE_UNREACHABLE', 'connect ECONNREFUSED');
      },
    });
    const answer = await post('/v1/sessions/lookup', { session: 'somebody' });
    assert.deepEqual([answer.status, errorOf(answer).code], [503, 'STORE_UNREACHABLE']);
  });

  test('never writes the session ID into the log', async (t) => {
    const { post, ask, log } = await setUp(t);
    await post('/v1/sessions/lookup', { session: 'secret-id' });
    await post('/v1/sessions/lookup', { session: 'secret-id', pool: 'secret-id' });
    await post('/v1/sessions/lookup', { 'secret-id': 1 });
    await ask('/v1/sessions/secret-id');
    assert.ok(log.lines.length > 0);
    assert.doesNotMatch(JSON.stringify(log.lines), /secret-id/);
  });
});

describe('probes', () => {
  test('are open to everybody and say that the gateway is alive', async (t) => {
    const { ask } = await setUp(t, { token: 'a-token-of-16-characters', loopback: false });
    const answer = await ask('/healthz');
    assert.deepEqual([answer.status, answer.json], [200, { alive: true }]);
    assert.equal((await ask('/readyz')).status, 503);
  });

  const cases: [string, { done: boolean; up: boolean; stopping: boolean }, number][] = [
    ['is not ready before the first round of checks', { done: false, up: true, stopping: false }, 503],
    ['is not ready when no backend is up', { done: true, up: false, stopping: false }, 503],
    ['is ready when one backend is up', { done: true, up: true, stopping: false }, 200],
    ['is not ready once it stops', { done: true, up: true, stopping: true }, 503],
  ];
  for (const [name, state, status] of cases) {
    test(`the gateway ${name}`, async (t) => {
      const { ask, backend } = await setUp(t, {
        firstRoundDone: state.done,
        stopping: () => state.stopping,
      });
      if (state.up) up(backend);
      const answer = await ask('/readyz');
      assert.equal(answer.status, status);
      assert.equal((answer.json as { ready: boolean }).ready, status === 200);
    });
  }

  test('call the gateway ready while one of its pools has no backend', async (t) => {
    const shop = testPool({ web: {} }, { name: 'shop' });
    const pools = [shop, testPool({ web: {} }, { name: 'forum' })];
    const { ask } = await setUp(t, { pools });
    up(backendOf(shop, 'web'));
    assert.equal((await ask('/readyz')).status, 200);
  });
});

describe('the admin API', () => {
  test('guards everything but the probes, and tells outsiders not even what there is', async (t) => {
    const token = 'a-token-of-16-characters';
    const { ask, backend, log } = await setUp(t, { token, loopback: false });
    for (const [method, path] of [
      ['GET', '/v1/status'],
      ['GET', '/v1/backends/app-1'],
      ['POST', '/v1/backends/app-1/state'],
      ['GET', '/v1/backends/app-1/drain'],
      ['POST', '/v1/sessions/lookup'],
      ['GET', '/metrics'],
      ['GET', '/nothing'],
      ['DELETE', '/v1/status'],
    ] as const) {
      const request = { method, ...(method === 'POST' && { body: { state: 'drain' } }) };
      const answer = await ask(path, request);
      assert.equal(answer.status, 401, `${method} ${path}`);
      assert.equal(errorOf(answer).code, 'UNAUTHORIZED');
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
    }
    assert.equal(backend.adminState, 'ready');
    assert.equal(log.matching(/refused somebody/).length, 8);
    assert.doesNotMatch(JSON.stringify(log.lines), new RegExp(token));
    const admitted = await ask('/v1/status', { headers: { authorization: `Bearer ${token}` } });
    assert.equal(admitted.status, 200);
  });

  test('on loopback without a token refuses web pages and rebound names', async (t) => {
    const { ask, backend } = await setUp(t);
    const change = { method: 'POST', body: { state: 'drain' } };
    for (const headers of [{ origin: 'https://evil.example' }, { host: 'evil.example' }]) {
      assert.equal((await ask('/v1/backends/app-1/state', { ...change, headers })).status, 401);
    }
    assert.equal(backend.adminState, 'ready');
  });

  test('on loopback without a token serves fetch', async (t) => {
    const { url } = await setUp(t);
    assert.equal((await fetch(`${url}/v1/status`)).status, 200);
  });

  test('answers 405 with the methods there are, and 404 where there is nothing', async (t) => {
    const { ask } = await setUp(t);
    const refused = await ask('/v1/status', { method: 'DELETE' });
    assert.deepEqual([refused.status, refused.headers.allow], [405, 'GET, HEAD']);
    assert.equal((await ask('/v2/status')).status, 404);
  });

  test('passes /metrics on, and has none when there is no exporter', async (t) => {
    const without = await setUp(t);
    assert.equal((await without.ask('/metrics')).status, 404);
    const { ask } = await setUp(t, { metricsHandler: (_, response) => response.end('up 1\n') });
    assert.equal((await ask('/metrics')).text, 'up 1\n');
  });

  test('hides what went wrong inside, and logs it', async (t) => {
    const { ask, log } = await setUp(t, {
      gatewayStatus: () => {
        throw new Error('a detail');
      },
    });
    const answer = await ask('/v1/status');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /a detail/);
    assert.match(JSON.stringify(log.lines), /a detail/);
  });

  test('lets no answer be cached or be taken for anything but JSON', async (t) => {
    const { ask } = await setUp(t);
    const { headers } = await ask('/healthz');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });
});
