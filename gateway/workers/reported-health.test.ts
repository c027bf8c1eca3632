import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backend } from '../backends/backend.ts';
import { testBackend } from '../testing/test-pool.ts';
import type { BackendState, FromWorker } from './messages.ts';
import { ReportedHealth } from './reported-health.ts';

const NAME = { pool: 'shop', id: 'app-1' };
const WELL: BackendState = {
  appUp: true,
  agentUp: true,
  ejectedUntil: 0,
  upSince: 1,
  incarnation: 'life 1',
  adminState: 'ready',
  isClean: true,
};

function setUp(state: Partial<BackendState> = {}) {
  const sent: FromWorker[] = [];
  const health = new ReportedHealth((message) => sent.push(message));
  const backend: Backend = testBackend();
  let distrusts = 0;
  health.learn(backend, { ...WELL, ...state }, false);
  backend.lease.onDistrust = () => {
    distrusts += 1;
  };
  return { sent, health, backend, distrusts: () => distrusts };
}

describe('what a worker tells of a backend', () => {
  test('is what went wrong, each time', () => {
    const { sent, health, backend } = setUp();
    health.connectFailed(backend, new Error('refused'));
    health.backendReset(backend);
    health.connectFailed(backend, new Error('refused'));
    assert.deepEqual(sent, [
      { type: 'connect-failed', backend: NAME, reason: 'refused' },
      { type: 'backend-reset', backend: NAME },
      { type: 'connect-failed', backend: NAME, reason: 'refused' },
    ]);
  });

  test('is no success while nothing is held against it', () => {
    const { sent, health, backend } = setUp();
    for (let i = 0; i < 1_000; i++) health.succeeded(backend);
    assert.deepEqual(sent, []);
  });

  test('is one success after something was held against it, and one more after the next time', () => {
    const { sent, health, backend } = setUp({ isClean: false });
    for (let i = 0; i < 1_000; i++) health.succeeded(backend);
    assert.deepEqual(sent, [{ type: 'succeeded', backend: NAME }]);
    health.learn(backend, { ...WELL, isClean: false }, false);
    for (let i = 0; i < 1_000; i++) health.succeeded(backend);
    assert.equal(sent.length, 2);
  });

  test('is no success during an ejection, but the first one after it', () => {
    const { sent, health, backend } = setUp({ isClean: false, ejectedUntil: Date.now() + 60_000 });
    health.succeeded(backend);
    assert.deepEqual(sent, []);
    health.learn(backend, { ...WELL, isClean: false }, true);
    health.succeeded(backend);
    assert.deepEqual(sent, [{ type: 'succeeded', backend: NAME }]);
  });

  test('is a new life of its agent, which is known and not trusted at once', () => {
    const { sent, health, backend, distrusts } = setUp();
    health.agentAnswered(backend, 'life 1');
    assert.deepEqual([sent.length, distrusts()], [0, 0]);
    health.agentAnswered(backend, 'life 2');
    assert.deepEqual([backend.incarnation, distrusts()], ['life 2', 1]);
    assert.deepEqual(sent, [{ type: 'agent-answered', backend: NAME, incarnation: 'life 2' }]);
  });

  test('is that its agent is gone, and it is down before anybody has looked', () => {
    const { sent, health, backend, distrusts } = setUp();
    health.agentFailed(backend);
    assert.deepEqual([backend.agentUp, distrusts()], [false, 1]);
    health.learn(backend, WELL, true);
    assert.deepEqual([backend.isUp(Date.now()), distrusts()], [true, 2]);
    assert.deepEqual(sent, [{ type: 'agent-failed', backend: NAME }]);
  });

  test('is a question whether it is alive; those who come meanwhile share the next one', async () => {
    const { sent, health, backend } = setUp();
    const questions = () => sent.filter((message) => message.type === 'probe-app');
    const first = health.probeApp(backend);
    const later = [health.probeApp(backend), health.probeApp(backend)];
    assert.equal(questions().length, 1);
    health.probed(questions()[0]?.number ?? 0, true);
    assert.equal(await first, true);
    assert.equal(questions().length, 2);
    health.probed(questions()[1]?.number ?? 0, false);
    assert.deepEqual(await Promise.all(later), [false, false]);
  });
});

test('a worker takes a backend for what it is told', () => {
  const { health, backend, distrusts } = setUp();
  health.learn(backend, { ...WELL, adminState: 'drain', ejectedUntil: 5, appUp: false }, true);
  const { adminState, ejectedUntil, appUp, agentUp } = backend;
  assert.deepEqual([adminState, ejectedUntil, appUp, agentUp, distrusts()], ['drain', 5, false, true, 1]);
});
