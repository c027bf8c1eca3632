import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, test } from 'node:test';
import pino from 'pino';
import { type AgentConfig, configSchema } from '../config/schema.ts';
import { AGENT_API, type AgentReadiness, type AgentStatus } from '../protocol/agent-api.ts';
import { StickshiftError } from '../protocol/errors.ts';
import { deriveSecrets } from '../protocol/secrets.ts';
import { sessionKeyDeriver } from '../protocol/session-key.ts';
import { type AgentOptions, type RunningAgent, startAgent } from './agent.ts';
import { PATIENCE_MS, until } from './testing/agent-under-test.ts';
import { MemorySource } from './testing/memory-source.ts';
import { MemoryStore } from './testing/memory-store.ts';

const SECRET = 'a secret of the installation, long enough';
const secrets = deriveSecrets(SECRET);
const keyOf = sessionKeyDeriver(secrets.sessionKey, 'shop');
const logger = pino({ enabled: false });

const running = new Set<RunningAgent>();
const directories = new Set<string>();
afterEach(async () => {
  for (const agent of running) await agent.stop();
  running.clear();
  for (const directory of directories) rmSync(directory, { recursive: true });
  directories.clear();
});

function config(listen = '127.0.0.1:0'): AgentConfig {
  const directory = mkdtempSync(join(tmpdir(), 'stickshift-agent-'));
  directories.add(directory);
  const agent = {
    pool: 'shop',
    listen,
    source: { type: 'express' as const, listen: '127.0.0.1:1' },
    journal: { directory },
  };
  return configSchema.parse({ secret: SECRET, agents: { 'app-1': agent } }).agents['app-1'] ?? assert.fail();
}

async function start(options: Partial<AgentOptions> = {}) {
  const source = new MemorySource();
  const store = new MemoryStore();
  const common = {
    config: config(),
    name: 'app-1',
    secret: SECRET,
    application: 'shop',
    logger,
    source,
    store,
    leases: { formerLife: false },
  };
  const agent = await startAgent({ ...common, ...options });
  running.add(agent);
  const call = (path: string, init: RequestInit = {}) => fetch(`http://${agent.address}${path}`, init);
  const post = (path: string, body: unknown, token = secrets.agentToken) =>
    call(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const ready = async () => {
    source.listener.attached();
    await until(async () => (await call(AGENT_API.ready)).ok);
  };
  return { agent, source, store, call, post, ready };
}

async function errorOf(response: Response): Promise<{ status: number; code: string; retrySafe: boolean }> {
  const { error } = (await response.json()) as { error: { code: string; retrySafe: boolean } };
  return { status: response.status, code: error.code, retrySafe: error.retrySafe };
}

test('a session goes through commit, release and adopt', async () => {
  const { source, post, ready } = await start();
  await ready();
  source.write('alice', 'one pear');
  const commit = await post(AGENT_API.commit, {
    backend: 'app-1',
    sessionIds: ['alice', 'bob'],
    timeoutMs: PATIENCE_MS,
  });
  assert.deepEqual(await commit.json(), {
    sessions: [{ outcome: 'committed', epoch: 1, seq: 1 }, { outcome: 'not-held' }],
  });
  const release = await post(AGENT_API.release, { backend: 'app-1', sessionId: 'alice' });
  assert.deepEqual(await release.json(), { outcome: 'released', epoch: 1, seq: 1 });
  const adopt = await post(AGENT_API.adopt, {
    backend: 'app-1',
    sessionId: 'alice',
    ifEpoch: 1,
    reason: 'unowned',
  });
  assert.partialDeepStrictEqual(await adopt.json(), { outcome: 'found', epoch: 2, seq: 1 });
  assert.equal(source.text('alice'), 'one pear');
  const idle = await post(AGENT_API.releaseIdle, { backend: 'app-1', except: [], limit: 10 });
  assert.deepEqual(await idle.json(), { released: 1, remaining: 0, unprotected: 0 });
});

test('readiness and health need no token and say why the agent is not ready', async () => {
  const { call, ready } = await start();
  assert.equal((await call(AGENT_API.health)).status, 200);
  const before = await call(AGENT_API.ready);
  assert.equal(before.status, 503);
  const body = (await before.json()) as AgentReadiness;
  assert.partialDeepStrictEqual(body, { backend: 'app-1', application: 'shop', ready: false });
  assert.match(body.reason ?? '', /waiting for the app/);
  await ready();
});

test('every start has its own incarnation', async () => {
  const [first, second] = [await start(), await start()];
  const incarnation = async ({ call }: typeof first) =>
    ((await (await call(AGENT_API.ready)).json()) as AgentReadiness).incarnation;
  assert.notEqual(await incarnation(first), await incarnation(second));
});

test('a second agent of the same backend is not ready and takes nothing over, until the first has stopped', async () => {
  const store = new MemoryStore();
  const backendUrl = 'http://127.0.0.1:8000';
  const first = await start({ store, backendUrl });
  // The source is the one that `start` made, which the second agent does not share.
  await first.ready();
  first.source.write('alice', 'one pear');
  await until(() => store.records.size === 1);

  const second = await start({ store, backendUrl });
  second.source.sessions.set('alice', { data: Buffer.from('an older pear'), idleAt: Date.now() + 60_000 });
  second.source.listener.attached();
  const readiness = async () => (await (await second.call(AGENT_API.ready)).json()) as AgentReadiness;
  await until(async () => (await readiness()).reason?.includes(first.agent.address) ?? false);
  await assert.rejects(second.source.listener.missed('bob'), { code: 'BACKEND_CLAIMED' });
  assert.equal(store.records.get(keyOf('alice'))?.epoch, 1);

  running.delete(first.agent);
  await first.agent.stop();
  await until(async () => (await readiness()).ready);
});

test('the status shows what is at risk', async () => {
  const { source, store, call, ready } = await start();
  await ready();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  const headers = { authorization: `Bearer ${secrets.agentToken}` };
  const status = async () => (await (await call(AGENT_API.status, { headers })).json()) as AgentStatus;
  await until(async () => (await status()).store === 'unreachable');
  assert.partialDeepStrictEqual(await status(), {
    ready: true,
    source: 'express',
    sessions: 1,
    dirty: 1,
    unprotected: 0,
  });
  store.fault = () => 'none';
});

for (const [name, authorization] of [
  ['no token', undefined],
  ['a wrong token', 'Bearer nonsense'],
  ['another scheme', `Basic ${secrets.agentToken}`],
  ['an empty token', 'Bearer '],
] as const) {
  test(`${name} is refused, on paths that exist and on others`, async () => {
    const { call } = await start();
    for (const path of [AGENT_API.status, '/v1/nothing', '/']) {
      const response = await call(path, authorization === undefined ? {} : { headers: { authorization } });
      assert.deepEqual(await errorOf(response), { status: 401, code: 'UNAUTHORIZED', retrySafe: true });
    }
  });
}

test('an unknown path is not found, a wrong method is refused', async () => {
  const { call, post } = await start();
  assert.partialDeepStrictEqual(await errorOf(await post('/v1/nothing', {})), {
    status: 404,
    code: 'NOT_FOUND',
  });
  const response = await call(AGENT_API.commit, {
    headers: { authorization: `Bearer ${secrets.agentToken}` },
  });
  assert.equal(response.headers.get('allow'), 'POST');
  assert.partialDeepStrictEqual(await errorOf(response), { status: 405, code: 'METHOD_REFUSED' });
});

test('a call that is meant for another backend is refused before anything happens', async () => {
  const { store, post } = await start();
  const response = await post(AGENT_API.adopt, {
    backend: 'app-2',
    sessionId: 'alice',
    ifEpoch: 1,
    reason: 'drain',
  });
  assert.deepEqual(await errorOf(response), { status: 503, code: 'AGENT_MISMATCH', retrySafe: true });
  assert.equal(store.calls, 0);
});

for (const [what, body] of [
  ['no session', { backend: 'app-1', ifEpoch: 1, reason: 'drain' }],
  ['an empty session ID', { backend: 'app-1', sessionId: '', ifEpoch: 1, reason: 'drain' }],
  ['an endless session ID', { backend: 'app-1', sessionId: 'x'.repeat(1025), ifEpoch: 1, reason: 'drain' }],
  ['a negative epoch', { backend: 'app-1', sessionId: 'alice', ifEpoch: -1, reason: 'drain' }],
  ['an unknown reason', { backend: 'app-1', sessionId: 'alice', ifEpoch: 1, reason: 'whim' }],
  ['an array', []],
  ['null', null],
] as const) {
  test(`a body with ${what} is a bad request`, async () => {
    const { post } = await start();
    assert.partialDeepStrictEqual(await errorOf(await post(AGENT_API.adopt, body)), {
      status: 400,
      code: 'BAD_REQUEST',
    });
  });
}

test('a body that is not JSON is a bad request', async () => {
  const { call } = await start();
  const headers = { authorization: `Bearer ${secrets.agentToken}` };
  const response = await call(AGENT_API.commit, { method: 'POST', headers, body: '{"backend":' });
  assert.partialDeepStrictEqual(await errorOf(response), { status: 400, code: 'BAD_REQUEST' });
});

test('a body over 1 MiB is refused without being read to its end', async () => {
  const { agent } = await start();
  const [host, port] = agent.address.split(':');
  const sent = request({
    host,
    port,
    path: AGENT_API.commit,
    method: 'POST',
    headers: {
      authorization: `Bearer ${secrets.agentToken}`,
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
    },
  });
  sent.on('error', () => undefined);
  sent.write(Buffer.alloc(2 * 1024 * 1024, ' '));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 400);
  assert.match(await text(response), /the body exceeds 1048576 bytes/);
  sent.destroy();
});

test('a drain may name all the busy sessions that there can be', async () => {
  const { post, ready } = await start();
  await ready();
  const except = Array.from({ length: 16_000 }, (_, number) => `${number}`.padEnd(1_000, 'x'));
  const response = await post(AGENT_API.releaseIdle, { backend: 'app-1', except, limit: 1 });
  assert.equal(response.status, 200);
});

test('garbage on the connection does no harm', async () => {
  const { agent, call } = await start();
  const [host, port] = agent.address.split(':');
  const socket = connect(Number(port), host);
  socket.end('\0\x01garbage\r\n\r\n');
  await new Promise((resolve) => socket.on('close', resolve).resume());
  assert.equal((await call(AGENT_API.health)).status, 200);
});

test('metrics are there when somebody serves them', async () => {
  const { call } = await start({ metricsHandler: (_, response) => response.end('sessions 0') });
  assert.equal(await (await call(AGENT_API.metrics)).text(), 'sessions 0');
});

test('the backend is announced with its URLs', async () => {
  const { agent, store } = await start({ backendUrl: 'http://127.0.0.1:3000' });
  assert.partialDeepStrictEqual((await store.backends())[0], {
    id: 'app-1',
    application: 'shop',
    url: 'http://127.0.0.1:3000',
    agent: `http://${agent.address}`,
    ready: false,
  });
});

test('an agent starts although its store cannot be reached', async () => {
  const store = new MemoryStore();
  store.fault = () => 'unreachable';
  const { call } = await start({ store, backendUrl: 'http://127.0.0.1:3000' });
  assert.equal((await call(AGENT_API.health)).status, 200);
});

test('a busy port is an error that names the option', async () => {
  const { agent } = await start();
  await assert.rejects(
    start({ config: config(agent.address) }),
    (error) =>
      error instanceof StickshiftError &&
      error.code === 'PORT_IN_USE' &&
      error.message.includes('agents.app-1.listen'),
  );
});

test('a stopped agent has saved its sessions and stays their owner', async () => {
  const { agent, source, store, ready } = await start();
  await ready();
  source.write('alice', 'one pear');
  await agent.stop();
  running.delete(agent);
  assert.equal(store.records.get(keyOf('alice'))?.state, 'active');
  await assert.rejects(fetch(`http://${agent.address}${AGENT_API.health}`));
});

test('an agent that is told to gives up its sessions when it stops', async () => {
  const { agent, source, store, ready } = await start();
  await ready();
  for (const id of ['alice', 'bob']) source.write(id, 'cart');
  await agent.stop({ release: true });
  running.delete(agent);
  for (const id of ['alice', 'bob']) assert.equal(store.records.get(keyOf(id))?.state, 'released');
});

test('sessions sealed with an older key are read after a rotation', async () => {
  const store = new MemoryStore();
  const before = await start({ store, encryptionKeys: ['the older of the two keys'] });
  await before.ready();
  before.source.write('alice', 'one pear');
  await before.agent.stop({ release: true });
  running.delete(before.agent);

  const keys = ['the newer of the two keys', 'the older of the two keys'];
  const after = await start({ store, encryptionKeys: keys });
  await after.ready();
  await after.post(AGENT_API.adopt, { backend: 'app-1', sessionId: 'alice', ifEpoch: 1, reason: 'unowned' });
  assert.equal(after.source.text('alice'), 'one pear');
});
