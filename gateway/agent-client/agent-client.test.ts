import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { CommitAnswer } from '../../protocol/agent-api.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { eventually } from '../testing/eventually.ts';
import { type FakeServer, json, refusingUrl, startFakeServer } from '../testing/fake-server.ts';
import { testBackend } from '../testing/test-pool.ts';
import { type AgentClient, createAgentClient } from './agent-client.ts';

const READY = {
  backend: 'app-1',
  application: 'shop',
  incarnation: 'i-1',
  ready: true,
  source: 'express',
  sessions: 3,
  dirty: 1,
  unprotected: 0,
  atRisk: 0,
  exposureMs: 12,
  store: 'ok',
  commits: { committed: 5, fenced: 0, stale: 0, ended: 0, failed: 0 },
  journal: { bytes: 0, entries: 0, failures: 0, replayed: 0, lostAtTakeover: 0 },
  reseeded: 0,
};

function client(t: TestContext, timeoutMs = 5_000): AgentClient {
  const agentClient = createAgentClient({ token: 'the-token', timeoutMs });
  t.after(() => agentClient.close());
  return agentClient;
}

const backendAt = (agent: FakeServer | URL) =>
  testBackend({ agentUrl: agent instanceof URL ? agent : agent.url });

const adopt = { sessionId: 's1', ifEpoch: 4, reason: 'takeover' } as const;

describe('a call', () => {
  test('carries backend and session in its body, never in its path, and the token', async (t) => {
    const found = { outcome: 'found', epoch: 5, seq: 9, ageMs: 40, size: 120 };
    const agent = await startFakeServer(t, (_, response) => json(response, 200, found));
    assert.deepEqual(await client(t).adopt(backendAt(agent), adopt), found);
    const [request] = agent.requests;
    assert.equal(request?.path, '/v1/sessions/adopt');
    assert.equal(request?.headers.authorization, 'Bearer the-token');
    assert.deepEqual(JSON.parse(request?.body ?? ''), { backend: 'app-1', ...adopt });
  });

  test('keeps its connection for the next one', async (t) => {
    const agent = await startFakeServer(t, (_, response) => json(response, 200, { outcome: 'not-held' }));
    const agentClient = client(t);
    for (let i = 0; i < 3; i++) await agentClient.release(backendAt(agent), { sessionId: 's1' });
    assert.equal(agent.connections, 1);
  });

  test('finds a connection that is kept even after many at once', async (t) => {
    const together = 100;
    const waiting: ServerResponse[] = [];
    const agent = await startFakeServer(t, (_, response) => {
      waiting.push(response);
      if (waiting.length < together) return;
      for (const each of waiting.splice(0)) json(each, 200, { outcome: 'not-held' });
    });
    const agentClient = client(t);
    for (let round = 0; round < 2; round++) {
      const calls = Array.from({ length: together }, () =>
        agentClient.release(backendAt(agent), { sessionId: 's1' }),
      );
      await Promise.all(calls);
    }
    assert.equal(agent.connections, together);
  });

  test('reads the status of an agent', async (t) => {
    const agent = await startFakeServer(t, (_, response) => json(response, 200, READY));
    assert.deepEqual(await client(t).status(backendAt(agent)), READY);
    assert.equal(agent.requests[0]?.method, 'GET');
  });

  test('is sent once more on a new connection when a kept-alive one turns out to be dead', async (t) => {
    let dying = false;
    const agent = await startFakeServer(t, (_, response) => {
      if (dying) {
        dying = false;
        response.socket?.resetAndDestroy();
      } else json(response, 200, { released: 1, remaining: 0, unprotected: 0 });
    });
    const agentClient = client(t);
    const release = () => agentClient.releaseIdle(backendAt(agent), { except: [], limit: 10 });
    await release();
    dying = true;
    assert.deepEqual(await release(), { released: 1, remaining: 0, unprotected: 0 });
    assert.equal(agent.connections, 2);
  });
});

describe('a call without a good answer', () => {
  const rejectsWith = (call: Promise<unknown>, code: ErrorCode, message?: RegExp) =>
    assert.rejects(call, (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      if (message) assert.match(error.message, message);
      return true;
    });

  test('is AGENT_UNREACHABLE when the connection is refused: it had no effect', async (t) => {
    await rejectsWith(client(t).adopt(backendAt(await refusingUrl()), adopt), 'AGENT_UNREACHABLE');
  });

  test('is AGENT_NO_ANSWER when time runs out: its effect is not known', async (t) => {
    const agent = await startFakeServer(t, () => undefined);
    await rejectsWith(client(t, 50).adopt(backendAt(agent), adopt), 'AGENT_NO_ANSWER', /within 50 ms/);
  });

  test('is AGENT_NO_ANSWER when a new connection breaks, and is not sent again', async (t) => {
    const agent = await startFakeServer(t, (_, response) => response.socket?.destroy());
    await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_NO_ANSWER');
    assert.equal(agent.requests.length, 1);
  });

  test('is AGENT_NO_ANSWER when the answer stops half-way', async (t) => {
    const agent = await startFakeServer(t, (_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"outcome"');
      response.socket?.end();
    });
    await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_NO_ANSWER');
  });

  test('is AGENT_NO_ANSWER when the caller gives up', async (t) => {
    const agent = await startFakeServer(t, () => undefined);
    const controller = new AbortController();
    const call = client(t).release(backendAt(agent), { sessionId: 's1' }, controller.signal);
    const rejected = rejectsWith(call, 'AGENT_NO_ANSWER', /given up/);
    await eventually(() => agent.requests.length === 1, 'the agent got the call');
    controller.abort();
    await rejected;
  });

  for (const [what, body] of [
    ['no JSON', '<html>'],
    ['an outcome nobody knows', '{"outcome":"perhaps"}'],
    ['a found session without its epoch', '{"outcome":"found","seq":1,"ageMs":0,"size":1}'],
    ['a negative epoch', '{"outcome":"found","epoch":-1,"seq":1,"ageMs":0,"size":1}'],
  ] as const) {
    test(`is AGENT_INVALID when the answer is ${what}`, async (t) => {
      const agent = await startFakeServer(t, (_, response) => response.end(body));
      await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_INVALID');
    });
  }

  test('is AGENT_INVALID when the answer never ends', async (t) => {
    const agent = await startFakeServer(t, (_, response) => response.write('x'.repeat(1024 * 1024)));
    await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_INVALID', /more than/);
  });

  test('is AGENT_INVALID when there are more or fewer commits than sessions', async (t) => {
    const agent = await startFakeServer(t, (_, response) =>
      json(response, 200, { sessions: [{ outcome: 'not-held' }] } satisfies CommitAnswer),
    );
    const call = client(t).commit(backendAt(agent), { sessionIds: ['s1', 's2'], timeoutMs: 1_000 });
    await rejectsWith(call, 'AGENT_INVALID', /1 commits for 2 sessions/);
  });

  test('is AGENT_INVALID, and names the secret, when the agent refuses the token', async (t) => {
    const agent = await startFakeServer(t, (_, response) =>
      json(response, 401, { error: { code: 'UNAUTHORIZED', message: 'no', retrySafe: true } }),
    );
    await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_INVALID', /same secret/);
  });

  test('keeps the code when the agent says that it serves another backend', async (t) => {
    const agent = await startFakeServer(t, (_, response) =>
      json(response, 503, { error: { code: 'AGENT_MISMATCH', message: 'I am app-2', retrySafe: true } }),
    );
    await rejectsWith(client(t).adopt(backendAt(agent), adopt), 'AGENT_MISMATCH', /I am app-2/);
  });

  test('is AGENT_MISMATCH when the status is that of another backend', async (t) => {
    const agent = await startFakeServer(t, (_, response) =>
      json(response, 200, { ...READY, backend: 'app-7' }),
    );
    await rejectsWith(client(t).status(backendAt(agent)), 'AGENT_MISMATCH', /serves app-7/);
  });

  test('is AGENT_INVALID when what listens is no HTTP server', async (t) => {
    const listener = createServer((socket) =>
      socket.on('error', () => socket.destroy()).end('SSH-2.0-x\r\n'),
    );
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    t.after(() => listener.close());
    const { port } = listener.address() as { port: number };
    const call = client(t).adopt(backendAt(new URL(`http://127.0.0.1:${port}`)), adopt);
    await rejectsWith(call, 'AGENT_INVALID');
  });
});

test('calls beyond the connections of an agent wait for one that is free', async (t) => {
  const held: ServerResponse[] = [];
  const answer = (response: ServerResponse) => json(response, 200, { outcome: 'not-held' });
  const agent = await startFakeServer(t, (_, response) => held.push(response));
  const agentClient = client(t, 30_000);
  const calls = Array.from({ length: 140 }, () => agentClient.release(backendAt(agent), { sessionId: 's1' }));
  await eventually(() => held.length === 128, 'all connections are taken');
  agent.answer = (_, response) => answer(response);
  for (const response of held) answer(response);
  await Promise.all(calls);
  assert.equal(agent.requests.length, 140);
  assert.equal(agent.connections, 128);
});

test('a call that waits for a connection in vain still ends in time', async (t) => {
  const agent = await startFakeServer(t, () => undefined);
  const agentClient = client(t, 30_000);
  const taken = Array.from({ length: 128 }, () =>
    agentClient.release(backendAt(agent), { sessionId: 's1' }).catch((error: Error) => error),
  );
  await eventually(() => agent.requests.length === 128, 'all connections are taken');
  const late = agentClient.commit(backendAt(agent), { sessionIds: ['s2'], timeoutMs: 50 });
  await assert.rejects(late, { code: 'AGENT_NO_ANSWER' });
  agentClient.close();
  await Promise.all(taken);
});
