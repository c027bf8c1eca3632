import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../testing/eventually.ts';
import { type FakeServer, json } from '../testing/fake-server.ts';
import { OFTEN, RARELY, ready, startMonitor, status } from '../testing/health-monitor-under-test.ts';

describe('an agent', () => {
  test('that lies about its backend is down, logged once as AGENT_MISMATCH', async (t) => {
    const { monitor, backend, agent, log } = await startMonitor(t, {
      agent: ready({ backend: 'app-7' }),
      health: OFTEN,
    });
    await monitor.start();
    await eventually(() => agent.requests.length >= 4, 'some more checks');
    assert.equal(backend.agentUp, false);
    const [line, ...more] = log.lines.filter(({ code }) => code === 'AGENT_MISMATCH');
    assert.match(String(line?.reason), /serves shop\/app-7, not shop\/app-1/);
    assert.deepEqual(more, []);
  });

  test('of another application is down', async (t) => {
    const { monitor, backend } = await startMonitor(t, { agent: ready({ application: 'forum' }) });
    await monitor.start();
    assert.equal(backend.agentUp, false);
  });

  test('that turns into a liar is down at its next check', async (t) => {
    const { monitor, backend, agent } = await startMonitor(t, { health: { ...OFTEN, fall: 1_000 } });
    await monitor.start();
    agent.answer = ready({ backend: 'app-7' });
    await eventually(() => !backend.agentUp, 'the agent is down');
  });

  test('that refuses the token is down at its next check, and the log asks for the secret', async (t) => {
    const { monitor, agent, backend, log } = await startMonitor(t, { health: OFTEN });
    await monitor.start();
    assert.equal(backend.agentUp, true);
    agent.answer = (_, response) => json(response, 401, { error: { code: 'UNAUTHORIZED', message: 'no' } });
    await eventually(() => !backend.agentUp, 'its backend is down');
    const lines = log.lines.filter(({ code }) => code === 'AGENT_INVALID');
    assert.equal(lines.length, 1);
    assert.match(String(lines[0]?.reason), /same secret/);
    agent.answer = ready();
    await eventually(() => backend.agentUp, 'it is up again');
  });

  test('that says it is not ready is down at its next check, with its reason in the log', async (t) => {
    const { monitor, backend, agent, log } = await startMonitor(t, { health: { ...OFTEN, fall: 1_000 } });
    await monitor.start();
    agent.answer = (_, response) =>
      json(response, 503, {
        backend: 'app-1',
        application: 'shop',
        incarnation: 'i-1',
        ready: false,
        reason: 'reconciling',
      });
    await eventually(() => !backend.agentUp, 'the agent is down');
    assert.match(String(log.matching(/session agent is down/).at(-1)?.reason), /reconciling/);
  });

  for (const [what, answer] of [
    ['no JSON', (_, response) => response.end('<html>')],
    ['JSON that means nothing', (_, response) => json(response, 200, { ready: 'yes' })],
    ['an error page', status(404)],
    ['more than a readiness can be', (_, response) => response.end('x'.repeat(100_000))],
  ] as [string, FakeServer['answer']][]) {
    test(`that answers ${what} is down`, async (t) => {
      const { monitor, backend } = await startMonitor(t, { agent: answer });
      await monitor.start();
      assert.equal(backend.agentUp, false);
      assert.equal(backend.appUp, true);
    });
  }

  test('that restarts between two checks stays up, and older bindings are checked', async (t) => {
    const { monitor, backend, agent, log } = await startMonitor(t, { health: OFTEN });
    await monitor.start();
    assert.equal(backend.incarnation, 'i-1');
    backend.upSince = 0;
    const before = Date.now();
    agent.answer = ready({ incarnation: 'i-2' });
    await eventually(() => backend.incarnation === 'i-2', 'the new incarnation is known');
    assert.ok(backend.upSince >= before);
    assert.equal(backend.agentUp, true);
    assert.equal(log.matching(/has restarted/).length, 1);
  });

  test('that says in the answer to a call that it was restarted has bindings checked before its next check', async (t) => {
    const { monitor, backend } = await startMonitor(t);
    await monitor.start();
    const before = Date.now();
    backend.upSince = 0;
    monitor.agentAnswered(backend, 'i-1');
    assert.equal(backend.upSince, 0);
    monitor.agentAnswered(backend, 'i-2');
    assert.ok(backend.upSince >= before);
    assert.equal(backend.incarnation, 'i-2');
  });

  test('that failed a call is down at once, and its next check alone decides', async (t) => {
    const { monitor, backend, agent } = await startMonitor(t, { health: { ...RARELY, rise: 1_000 } });
    await monitor.start();
    const before = agent.requests.length;
    monitor.agentFailed(backend);
    assert.equal(backend.agentUp, false);
    assert.equal(backend.isUp(Date.now()), false);
    await eventually(() => backend.agentUp, 'the agent is up again');
    assert.equal(agent.requests.length, before + 1);
  });

  test('that failed a call because its whole machine is gone takes its app down as well, at once', async (t) => {
    const { monitor, backend, app } = await startMonitor(t);
    await monitor.start();
    await app.stop();
    monitor.agentFailed(backend);
    await eventually(() => !backend.appUp, 'the app server is known to be gone');
  });

  test('that is gone stays down until it is back', async (t) => {
    const { monitor, backend, agent } = await startMonitor(t, { health: OFTEN });
    await monitor.start();
    await agent.stop();
    monitor.agentFailed(backend);
    await agent.restart();
    await eventually(() => backend.agentUp, 'the agent is up again');
  });
});
