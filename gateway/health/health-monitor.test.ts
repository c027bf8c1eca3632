import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { eventually } from '../testing/eventually.ts';
import { type FakeServer, json, startFakeServer } from '../testing/fake-server.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { createHealthMonitor } from './health-monitor.ts';

const ready = (over: object = {}): FakeServer['answer'] => {
  return (_, response) =>
    json(response, 200, {
      backend: 'app-1',
      application: 'shop',
      incarnation: 'i-1',
      ready: true,
      ...over,
    });
};
const ok: FakeServer['answer'] = (_, response) => response.end('ok');
const status = (code: number): FakeServer['answer'] => {
  return (_, response) => response.writeHead(code, { location: '/elsewhere' }).end();
};
/** A long pause: only checks that are prompted follow the first. */
const RARELY = { interval: '1h', timeout: '5s' };
const OFTEN = { interval: '10ms', timeout: '5s' };

/** One backend `app-1` with a real app server and agent, and `app-2` that the test may set as it likes. */
async function setUp(
  t: TestContext,
  options: {
    app?: FakeServer['answer'];
    agent?: FakeServer['answer'];
    health?: { interval?: string; timeout?: string; rise?: number; fall?: number; path?: string };
    now?: () => number;
  } = {},
) {
  const app = await startFakeServer(t, options.app ?? ok);
  const agent = await startFakeServer(t, options.agent ?? ready());
  const pool = testPool(
    { 'app-1': { url: app.url, agent: agent.url }, 'app-2': {} },
    { health: options.health ?? RARELY, ejection: { failures: 3, duration: '5s' } },
  );
  const log = recordedLog();
  const monitor = createHealthMonitor({
    pools: [pool],
    agentToken: 'the-token',
    logger: log.logger,
    ...(options.now && { now: options.now }),
  });
  t.after(() => monitor.stop());
  const backend = backendOf(pool, 'app-1');
  const other = backendOf(pool, 'app-2');
  const otherAccepts = () => {
    other.appUp = true;
    other.agentUp = true;
  };
  return { app, agent, pool, log, monitor, backend, other, otherAccepts };
}

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

describe('the first round of checks', () => {
  test('decides alone, and start resolves after it', async (t) => {
    const { monitor, backend, other } = await setUp(t);
    assert.equal(monitor.firstRoundDone, false);
    await monitor.start();
    assert.equal(monitor.firstRoundDone, true);
    assert.equal(backend.isUp(Date.now()), true);
    assert.equal(other.isUp(Date.now()), false);
  });

  test('asks the app server for the configured path', async (t) => {
    const { monitor, app } = await setUp(t, { health: { ...RARELY, path: '/well?deep=1' } });
    await monitor.start();
    assert.equal(app.requests[0]?.path, '/well?deep=1');
  });

  test('makes older bindings to be checked', async (t) => {
    const before = Date.now();
    const { monitor, backend } = await setUp(t);
    await monitor.start();
    assert.ok(backend.upSince >= before);
  });

  test('logs one line for each app server and each agent', async (t) => {
    const { monitor, log } = await setUp(t);
    await monitor.start();
    assert.equal(log.matching(/is up/).length, 2);
    assert.equal(log.matching(/is down/).length, 2);
  });
});

describe('an app server', () => {
  for (const code of [200, 204, 302]) {
    test(`that answers ${code} is up`, async (t) => {
      const { monitor, backend, app } = await setUp(t, { app: status(code) });
      await monitor.start();
      assert.equal(backend.appUp, true);
      assert.equal(app.requests.length, 1, 'a redirect is not followed');
    });
  }

  for (const code of [404, 500, 503]) {
    test(`that answers ${code} is down`, async (t) => {
      const { monitor, backend } = await setUp(t, { app: status(code) });
      await monitor.start();
      assert.equal(backend.appUp, false);
    });
  }

  test('that does not answer in time is down', async (t) => {
    const { monitor, backend } = await setUp(t, {
      app: () => undefined,
      health: { interval: '1h', timeout: '50ms' },
    });
    await monitor.start();
    assert.equal(backend.appUp, false);
    assert.equal(backend.agentUp, true);
  });

  test('is up however long its answer is', async (t) => {
    const { monitor, backend } = await setUp(t, {
      app: (_, response) => response.write('x'.repeat(1024 * 1024)),
    });
    await monitor.start();
    assert.equal(backend.appUp, true);
  });

  test('falls after three bad checks and rises after two good ones', async (t) => {
    const { monitor, backend, app } = await setUp(t, { health: OFTEN });
    await monitor.start();
    app.answer = status(500);
    const before = app.requests.length;
    await eventually(() => !backend.appUp, 'the app server is down');
    assert.ok(app.requests.length - before >= 3);
    app.answer = ok;
    const down = app.requests.length;
    await eventually(() => backend.appUp, 'the app server is up again');
    assert.ok(app.requests.length - down >= 2);
  });

  test('that comes back has its older bindings checked', async (t) => {
    const { monitor, backend, app } = await setUp(t, { health: OFTEN });
    await monitor.start();
    app.answer = status(500);
    await eventually(() => !backend.appUp, 'down');
    backend.upSince = 0;
    const before = Date.now();
    app.answer = ok;
    await eventually(() => backend.appUp, 'up again');
    assert.ok(backend.upSince >= before);
  });

  test('is checked over kept-alive connections', async (t) => {
    const { monitor, app } = await setUp(t, { health: OFTEN });
    await monitor.start();
    await eventually(() => app.requests.length >= 5, 'five checks');
    assert.equal(app.connections, 1);
  });

  test('is not down because a kept-alive connection of the checks was closed', async (t) => {
    const { monitor, app, backend } = await setUp(t, { health: { ...OFTEN, fall: 1 } });
    await monitor.start();
    let drop = true;
    app.answer = (_, response) => {
      if (drop) {
        drop = false;
        response.socket?.resetAndDestroy();
      } else response.end();
    };
    const before = app.requests.length;
    await eventually(() => app.requests.length >= before + 5, 'five more checks');
    assert.equal(backend.appUp, true);
  });

  test('with an address that cannot be used is down, and no process dies', async (t) => {
    const pool = testPool({ 'app-1': { url: new URL('http://127.0.0.1:0') } }, { health: RARELY });
    const monitor = createHealthMonitor({
      pools: [pool],
      agentToken: 'the-token',
      logger: recordedLog().logger,
    });
    t.after(() => monitor.stop());
    await monitor.start();
    assert.equal(backendOf(pool, 'app-1').appUp, false);
  });
});

describe('an agent', () => {
  test('that lies about its backend is down, logged once as AGENT_MISMATCH', async (t) => {
    const { monitor, backend, agent, log } = await setUp(t, {
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
    const { monitor, backend } = await setUp(t, { agent: ready({ application: 'forum' }) });
    await monitor.start();
    assert.equal(backend.agentUp, false);
  });

  test('that turns into a liar is down at its next check', async (t) => {
    const { monitor, backend, agent } = await setUp(t, { health: { ...OFTEN, fall: 1_000 } });
    await monitor.start();
    agent.answer = ready({ backend: 'app-7' });
    await eventually(() => !backend.agentUp, 'the agent is down');
  });

  test('that refuses the token is down at its next check, and the log asks for the secret', async (t) => {
    const { monitor, agent, backend, log } = await setUp(t, { health: OFTEN });
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
    const { monitor, backend, agent, log } = await setUp(t, { health: { ...OFTEN, fall: 1_000 } });
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
      const { monitor, backend } = await setUp(t, { agent: answer });
      await monitor.start();
      assert.equal(backend.agentUp, false);
      assert.equal(backend.appUp, true);
    });
  }

  test('that restarts between two checks stays up, and older bindings are checked', async (t) => {
    const { monitor, backend, agent, log } = await setUp(t, { health: OFTEN });
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
    const { monitor, backend } = await setUp(t);
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
    const { monitor, backend, agent } = await setUp(t, { health: { ...RARELY, rise: 1_000 } });
    await monitor.start();
    const before = agent.requests.length;
    monitor.agentFailed(backend);
    assert.equal(backend.agentUp, false);
    assert.equal(backend.isUp(Date.now()), false);
    await eventually(() => backend.agentUp, 'the agent is up again');
    assert.equal(agent.requests.length, before + 1);
  });

  test('that failed a call because its whole machine is gone takes its app down as well, at once', async (t) => {
    const { monitor, backend, app } = await setUp(t);
    await monitor.start();
    await app.stop();
    monitor.agentFailed(backend);
    await eventually(() => !backend.appUp, 'the app server is known to be gone');
  });

  test('that is gone stays down until it is back', async (t) => {
    const { monitor, backend, agent } = await setUp(t, { health: OFTEN });
    await monitor.start();
    await agent.stop();
    monitor.agentFailed(backend);
    await agent.restart();
    await eventually(() => backend.agentUp, 'the agent is up again');
  });
});

describe('requests that fail', () => {
  test('eject the backend when there are enough in a row', async (t) => {
    const { monitor, backend, otherAccepts, log } = await setUp(t);
    await monitor.start();
    otherAccepts();
    monitor.connectFailed(backend, refused);
    monitor.backendReset(backend);
    assert.equal(backend.isUp(Date.now()), true);
    monitor.connectFailed(backend, refused);
    assert.equal(backend.isUp(Date.now()), false);
    assert.equal(log.matching(/ejected/).length, 1);
  });

  test('do not eject it when an answer came between', async (t) => {
    const { monitor, backend, otherAccepts } = await setUp(t);
    await monitor.start();
    otherAccepts();
    for (let i = 0; i < 10; i++) {
      monitor.backendReset(backend);
      monitor.backendReset(backend);
      monitor.succeeded(backend);
    }
    assert.equal(backend.ejectedUntil, 0);
  });

  test('never eject the last backend that accepts clients, and say so once', async (t) => {
    const { monitor, backend, log } = await setUp(t);
    await monitor.start();
    for (let i = 0; i < 30; i++) monitor.backendReset(backend);
    assert.equal(backend.isUp(Date.now()), true);
    assert.equal(log.matching(/not ejected/).length, 1);
  });

  test('eject it for twice as long the next time, and briefly again after a success', async (t) => {
    let now = 1_000_000;
    const { monitor, backend, otherAccepts } = await setUp(t, { now: () => now });
    await monitor.start();
    otherAccepts();
    const eject = () => {
      for (let i = 0; i < 3; i++) monitor.backendReset(backend);
      return backend.ejectedUntil - now;
    };
    assert.equal(eject(), 5_000);
    now += 5_000;
    assert.equal(eject(), 10_000);
    now += 10_000;
    monitor.succeeded(backend);
    assert.equal(eject(), 5_000);
  });

  test('say nothing of an app server that has been down and come back since', async (t) => {
    const { monitor, backend, app, otherAccepts, log } = await setUp(t, { health: { ...OFTEN, rise: 2 } });
    await monitor.start();
    otherAccepts();
    for (let i = 0; i < 3; i++) monitor.backendReset(backend);
    assert.ok(backend.ejectedUntil > Date.now());
    await app.stop();
    await eventually(() => !backend.appUp, 'the app server is down');
    const before = Date.now();
    await app.restart();
    await eventually(() => backend.isUp(Date.now()), 'the backend is up');
    assert.ok(backend.upSince >= before, 'bindings from before are checked');
    assert.equal(log.matching(/has come back/).length, 1);
  });

  test('that were under way at an ejection neither prolong nor shorten it', async (t) => {
    let now = 1_000_000;
    const { monitor, backend, otherAccepts } = await setUp(t, { now: () => now });
    await monitor.start();
    otherAccepts();
    for (let i = 0; i < 30; i++) monitor.backendReset(backend);
    assert.equal(backend.ejectedUntil, now + 5_000);
    monitor.succeeded(backend);
    now += 5_000;
    for (let i = 0; i < 3; i++) monitor.backendReset(backend);
    assert.equal(backend.ejectedUntil, now + 10_000);
  });

  test('leave bindings from before the end of an ejection to be checked', async (t) => {
    const { monitor, backend, otherAccepts } = await setUp(t);
    await monitor.start();
    otherAccepts();
    for (let i = 0; i < 3; i++) monitor.backendReset(backend);
    assert.equal(backend.upSince, backend.ejectedUntil);
  });

  test('bring a check forward', async (t) => {
    const { monitor, backend, app } = await setUp(t);
    await monitor.start();
    monitor.connectFailed(backend, refused);
    await eventually(() => app.requests.length === 2, 'a second check, an hour early');
    assert.equal(app.connections, 2, 'over a connection of its own');
  });

  test('bring the backend down at once when that check is refused as well', async (t) => {
    const { monitor, backend, app } = await setUp(t, { health: { ...RARELY, fall: 1_000 } });
    await monitor.start();
    await app.stop();
    monitor.connectFailed(backend, refused);
    await eventually(() => !backend.appUp, 'the app server is down');
  });

  test('however many, cause few checks', async (t) => {
    const { monitor, backend, app } = await setUp(t);
    await monitor.start();
    for (let i = 0; i < 1_000; i++) monitor.backendReset(backend);
    await eventually(() => app.requests.length === 2, 'one more check');
    assert.equal(app.requests.length, 2);
  });
});

describe('listeners', () => {
  test('hear of every change until they stop listening', async (t) => {
    const { monitor, backend } = await setUp(t);
    const heard: boolean[] = [];
    const stop = monitor.onChange((changed) => {
      if (changed === backend) heard.push(changed.isUp(Date.now()));
    });
    await monitor.start();
    assert.equal(heard.at(-1), true);
    monitor.agentFailed(backend);
    assert.equal(heard.at(-1), false);
    stop();
    const before = heard.length;
    await eventually(() => backend.agentUp, 'the agent is up again');
    assert.equal(heard.length, before);
  });
});

test('a monitor that was stopped checks no more, whatever it is told', async (t) => {
  const { monitor, backend, app, agent } = await setUp(t);
  await monitor.start();
  monitor.stop();
  monitor.connectFailed(backend, refused);
  monitor.agentFailed(backend);
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual([app.requests.length, agent.requests.length], [1, 1]);
});

test('a monitor that is stopped during its first round lets start resolve', async (t) => {
  const { monitor } = await setUp(t, { app: () => undefined });
  const started = monitor.start();
  monitor.stop();
  await started;
});
