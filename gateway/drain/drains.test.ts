import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ReleaseIdleRequest } from '../../protocol/agent-api.ts';
import { createAgentClient } from '../agent-client/agent-client.ts';
import type { AdminState, Backend } from '../backends/backend.ts';
import { eventually } from '../testing/eventually.ts';
import { json, startFakeServer } from '../testing/fake-server.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { testBackend } from '../testing/test-pool.ts';
import { createDrains } from './drains.ts';

const LONG = 3_600_000;

/** An agent that holds sessions and releases them as the real one does. */
async function setUp(t: TestContext, held: string[], state: AdminState = 'drain', noticeMs = 0) {
  const sessions = new Set(held);
  const unprotected = new Set<string>();
  const inFlight = new Set<string>();
  const closed: Backend[] = [];
  const world = { hasSuccessor: true };
  let beforeAnswer: (body: ReleaseIdleRequest) => void | Promise<void> = () => undefined;
  const agent = await startFakeServer(t, async ({ body }, response) => {
    const request = JSON.parse(body) as ReleaseIdleRequest;
    const idle = [...sessions].filter((id) => !request.except.includes(id) && !unprotected.has(id));
    const released = idle.slice(0, request.limit);
    for (const id of released) sessions.delete(id);
    const answer = { released: released.length, remaining: sessions.size, unprotected: unprotected.size };
    await beforeAnswer(request);
    json(response, 200, answer);
  });
  const backend = testBackend({ agentUrl: agent.url });
  backend.adminState = state;
  backend.appUp = backend.agentUp = true;
  const agentClient = createAgentClient({ token: 'the-token', timeoutMs: 5_000 });
  const log = recordedLog();
  let onClose: () => void = () => undefined;
  const drains = createDrains({
    agentClient,
    inFlightSessions: () => inFlight,
    closeConnections: (which) => {
      closed.push(which);
      onClose();
    },
    hasSuccessor: () => world.hasSuccessor,
    logger: log.logger,
    closingMs: 300 + noticeMs,
    noticeMs,
  });
  t.after(() => {
    drains.close();
    agentClient.close();
  });
  return {
    agent,
    backend,
    drains,
    sessions,
    unprotected,
    inFlight,
    closed,
    world,
    log,
    calls: () => agent.requests.map(({ body }) => JSON.parse(body) as ReleaseIdleRequest),
    beforeAnswer: (hook: typeof beforeAnswer) => {
      beforeAnswer = hook;
    },
    onClose: (hook: typeof onClose) => {
      onClose = hook;
    },
    ended: async () => {
      await eventually(() => drains.progress(backend)?.endedAt !== undefined, 'the drain has ended');
      return drains.progress(backend);
    },
  };
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);

describe('a drain', () => {
  test('releases every session in batches and is complete', async (t) => {
    const { drains, backend, sessions, calls, ended, log } = await setUp(t, ids(450));
    const begun = drains.start(backend, LONG);
    assert.equal(begun.state, 'draining');
    assert.equal(begun.deadlineAt - begun.startedAt, LONG);
    const progress = await ended();
    assert.equal(progress?.state, 'complete');
    assert.equal(progress?.released, 450);
    assert.equal(progress?.remaining, 0);
    assert.equal(sessions.size, 0);
    assert.deepEqual(
      calls().map(({ limit }) => limit),
      [200, 200, 200],
    );
    const [line] = log.matching(/drain is complete/);
    assert.equal(line?.released, 450);
  });

  test('releases nothing while nobody else accepts clients, and everything as soon as somebody does', async (t) => {
    const { drains, backend, sessions, world, calls, ended } = await setUp(t, ids(5));
    world.hasSuccessor = false;
    assert.equal(drains.start(backend, LONG).isLast, true);
    await pause(100);
    assert.deepEqual([calls(), sessions.size], [[], 5]);
    world.hasSuccessor = true;
    const progress = await ended();
    assert.partialDeepStrictEqual(progress, { state: 'complete', released: 5 });
    assert.equal(progress?.isLast, undefined);
  });

  test('with nobody else to the end is incomplete, and closes nothing: the backend goes on serving its clients', async (t) => {
    const { drains, backend, world, closed, ended, log } = await setUp(t, ids(5));
    world.hasSuccessor = false;
    drains.start(backend, 50);
    assert.partialDeepStrictEqual(await ended(), { state: 'incomplete', released: 0, isLast: true });
    assert.deepEqual(closed, []);
    assert.equal(log.matching(/no other backend accepts clients/).length, 1);
  });

  test('of a backend that is down itself does not say that it goes on serving', async (t) => {
    const { drains, backend, world } = await setUp(t, ids(5));
    world.hasSuccessor = false;
    drains.start(backend, LONG);
    assert.equal(drains.progress(backend)?.isLast, true);
    backend.appUp = false;
    assert.equal(drains.progress(backend)?.isLast, undefined);
  });

  test('for maintenance releases everything, whoever else is there', async (t) => {
    const { drains, backend, world, ended } = await setUp(t, ids(5), 'maintenance');
    world.hasSuccessor = false;
    drains.start(backend, 0);
    assert.partialDeepStrictEqual(await ended(), { state: 'complete', released: 5 });
  });

  test('leaves sessions with a request in flight until it has ended', async (t) => {
    const { drains, backend, sessions, inFlight, ended } = await setUp(t, ids(5));
    inFlight.add('s3');
    backend.inFlight = 1;
    drains.start(backend, LONG);
    await eventually(() => sessions.size === 1, 'all others are released');
    assert.deepEqual([...sessions], ['s3']);
    assert.equal(drains.progress(backend)?.state, 'draining');
    inFlight.clear();
    backend.inFlight = 0;
    assert.equal((await ended())?.state, 'complete');
    assert.equal(sessions.size, 0);
  });

  test('is not complete while anything is in flight, with or without a session', async (t) => {
    const { drains, backend, agent, ended } = await setUp(t, []);
    backend.inFlight = 1;
    drains.start(backend, LONG);
    await eventually(() => agent.requests.length >= 3, 'the agent was asked three times');
    assert.equal(drains.progress(backend)?.state, 'draining');
    assert.equal(drains.progress(backend)?.inFlight, 1);
    backend.inFlight = 0;
    assert.equal((await ended())?.state, 'complete');
  });

  test('releases a session that the last request in flight began behind the back of the answer', async (t) => {
    const { drains, backend, sessions, beforeAnswer, ended } = await setUp(t, []);
    backend.inFlight = 1;
    beforeAnswer(() => {
      if (backend.inFlight === 0) return;
      sessions.add('late');
      backend.inFlight = 0;
    });
    drains.start(backend, LONG);
    const progress = await ended();
    assert.equal(progress?.released, 1);
    assert.equal(sessions.size, 0);
  });

  for (const state of ['drain', 'maintenance'] as const) {
    test(`(${state}) is not complete before the other gateways know of it, and releases what they still send`, async (t) => {
      const { drains, backend, sessions, agent, ended } = await setUp(t, [], state, 2_000);
      drains.start(backend, state === 'drain' ? LONG : 0);
      await eventually(() => agent.requests.length >= 2, 'the agent was asked, and held nothing');
      assert.equal(drains.progress(backend)?.endedAt, undefined);
      sessions.add('sent by another gateway');
      const progress = await ended();
      assert.deepEqual([progress?.state, progress?.released], ['complete', 1]);
    });
  }

  test('whose agent cannot be reached says so, keeps trying, and goes on when it is back', async (t) => {
    const { drains, backend, agent, ended, log } = await setUp(t, ids(3));
    await agent.stop();
    drains.start(backend, LONG);
    await eventually(
      () => drains.progress(backend)?.agentError === 'AGENT_UNREACHABLE',
      'the progress names the trouble',
    );
    assert.equal(drains.progress(backend)?.remaining, undefined);
    await agent.restart();
    const progress = await ended();
    assert.equal(progress?.state, 'complete');
    assert.equal(progress?.agentError, undefined);
    assert.equal(log.matching(/does not release/).length, 1);
    assert.equal(log.matching(/answers again/).length, 1);
  });
});

describe('at its deadline a drain', () => {
  test('closes what is in flight, releases what that held up, and is complete', async (t) => {
    const { drains, backend, inFlight, closed, onClose, ended, sessions } = await setUp(t, ids(3));
    inFlight.add('s1');
    backend.inFlight = 1;
    onClose(() => {
      inFlight.clear();
      backend.inFlight = 0;
    });
    drains.start(backend, 100);
    const progress = await ended();
    assert.deepEqual(closed, [backend]);
    assert.equal(progress?.state, 'complete');
    assert.equal(sessions.size, 0);
  });

  test('is incomplete when sessions cannot be saved, and counts them', async (t) => {
    const { drains, backend, unprotected, ended, log } = await setUp(t, ids(3));
    unprotected.add('s0');
    drains.start(backend, 100);
    const progress = await ended();
    assert.equal(progress?.state, 'incomplete');
    assert.deepEqual([progress?.released, progress?.remaining, progress?.unprotected], [2, 1, 1]);
    const [line] = log.matching(/drain is incomplete/);
    assert.equal(line?.unprotected, 1);
    assert.doesNotMatch(JSON.stringify(log.lines), /"s0"/);
  });

  test('that is 0 closes everything at once and still releases every session', async (t) => {
    const { drains, backend, closed, ended, sessions } = await setUp(t, ids(450), 'maintenance');
    const begun = drains.start(backend, 0);
    assert.equal(begun.reason, 'maintenance');
    assert.equal((await ended())?.state, 'complete');
    assert.deepEqual(closed, [backend]);
    assert.equal(sessions.size, 0);
  });

  test('goes on for as long as sessions are being released', async (t) => {
    const { drains, backend, ended, beforeAnswer, calls } = await setUp(t, ids(1_000), 'maintenance');
    beforeAnswer(() => new Promise((resolve) => setTimeout(resolve, 100)));
    drains.start(backend, 0);
    assert.equal((await ended())?.released, 1_000);
    assert.ok(calls().length >= 5, 'batches that together take longer than closing may');
  });

  test('is incomplete when the agent is gone for good', async (t) => {
    const { drains, backend, agent, ended } = await setUp(t, ids(3));
    await agent.stop();
    drains.start(backend, 50);
    const progress = await ended();
    assert.equal(progress?.state, 'incomplete');
    assert.equal(progress?.agentError, 'AGENT_UNREACHABLE');
  });
});

describe('a drain that is cancelled', () => {
  test('asks the agent no more, and older bindings are checked', async (t) => {
    const { drains, backend, agent, closed } = await setUp(t, []);
    backend.inFlight = 1;
    drains.start(backend, 2_000);
    await eventually(() => agent.requests.length === 1, 'the agent was asked');
    const before = Date.now();
    drains.cancel(backend);
    assert.equal(drains.progress(backend), undefined);
    assert.ok(backend.upSince >= before);
    const asked = agent.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    assert.equal(agent.requests.length, asked);
    assert.deepEqual(closed, []);
  });

  test('has bindings checked again when its last release ends', async (t) => {
    const { drains, backend, agent, beforeAnswer } = await setUp(t, ids(3));
    const gate = Promise.withResolvers<void>();
    beforeAnswer(() => gate.promise);
    drains.start(backend, LONG);
    await eventually(() => agent.requests.length === 1, 'the agent is at work');
    drains.cancel(backend);
    backend.upSince = 0;
    gate.resolve();
    await eventually(() => backend.upSince > 0, 'bindings are checked again');
  });

  test('by a new one goes on with the new deadline', async (t) => {
    const { drains, backend, closed, ended } = await setUp(t, []);
    backend.inFlight = 1;
    drains.start(backend, LONG);
    drains.start(backend, 50);
    const progress = await ended();
    assert.equal(progress?.state, 'incomplete');
    assert.deepEqual(closed, [backend]);
  });
});

test('a backend that was never drained has no progress, and cancelling nothing is harmless', async (t) => {
  const { drains, backend } = await setUp(t, []);
  assert.equal(drains.progress(backend), undefined);
  drains.cancel(backend);
  assert.equal(drains.progress(backend), undefined);
});
