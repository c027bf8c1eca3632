import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../testing/eventually.ts';
import { OFTEN, RARELY, refused, startMonitor } from '../testing/health-monitor-under-test.ts';

describe('the first round of checks', () => {
  test('decides alone, and start resolves after it', async (t) => {
    const { monitor, backend, other } = await startMonitor(t);
    assert.equal(monitor.firstRoundDone, false);
    await monitor.start();
    assert.equal(monitor.firstRoundDone, true);
    assert.equal(backend.isUp(Date.now()), true);
    assert.equal(other.isUp(Date.now()), false);
  });

  test('asks the app server for the configured path', async (t) => {
    const { monitor, app } = await startMonitor(t, { health: { ...RARELY, path: '/well?deep=1' } });
    await monitor.start();
    assert.equal(app.requests[0]?.path, '/well?deep=1');
  });

  test('makes older bindings to be checked', async (t) => {
    const before = Date.now();
    const { monitor, backend } = await startMonitor(t);
    await monitor.start();
    assert.ok(backend.upSince >= before);
  });

  test('logs one line for each app server and each agent', async (t) => {
    const { monitor, log } = await startMonitor(t);
    await monitor.start();
    assert.equal(log.matching(/is up/).length, 2);
    assert.equal(log.matching(/is down/).length, 2);
  });
});

describe('requests that fail', () => {
  test('eject the backend when there are enough in a row', async (t) => {
    const { monitor, backend, otherAccepts, log } = await startMonitor(t);
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
    const { monitor, backend, otherAccepts } = await startMonitor(t);
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
    const { monitor, backend, log } = await startMonitor(t);
    await monitor.start();
    for (let i = 0; i < 30; i++) monitor.backendReset(backend);
    assert.equal(backend.isUp(Date.now()), true);
    assert.equal(log.matching(/not ejected/).length, 1);
  });

  test('eject it for twice as long the next time, and briefly again after a success', async (t) => {
    let now = 1_000_000;
    const { monitor, backend, otherAccepts } = await startMonitor(t, { now: () => now });
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
    const { monitor, backend, app, otherAccepts, log } = await startMonitor(t, {
      health: { ...OFTEN, rise: 2 },
    });
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
    const { monitor, backend, otherAccepts } = await startMonitor(t, { now: () => now });
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
    const { monitor, backend, otherAccepts } = await startMonitor(t);
    await monitor.start();
    otherAccepts();
    for (let i = 0; i < 3; i++) monitor.backendReset(backend);
    assert.equal(backend.upSince, backend.ejectedUntil);
  });

  test('bring a check forward', async (t) => {
    const { monitor, backend, app } = await startMonitor(t);
    await monitor.start();
    monitor.connectFailed(backend, refused);
    await eventually(() => app.requests.length === 2, 'a second check, an hour early');
    assert.equal(app.connections, 2, 'over a connection of its own');
  });

  test('bring the backend down at once when that check is refused as well', async (t) => {
    const { monitor, backend, app } = await startMonitor(t, { health: { ...RARELY, fall: 1_000 } });
    await monitor.start();
    await app.stop();
    monitor.connectFailed(backend, refused);
    await eventually(() => !backend.appUp, 'the app server is down');
  });

  test('however many, cause few checks', async (t) => {
    const { monitor, backend, app } = await startMonitor(t);
    await monitor.start();
    for (let i = 0; i < 1_000; i++) monitor.backendReset(backend);
    await eventually(() => app.requests.length === 2, 'one more check');
    assert.equal(app.requests.length, 2);
  });
});

describe('listeners', () => {
  test('hear of every change until they stop listening', async (t) => {
    const { monitor, backend } = await startMonitor(t);
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
  const { monitor, backend, app, agent } = await startMonitor(t);
  await monitor.start();
  monitor.stop();
  monitor.connectFailed(backend, refused);
  monitor.agentFailed(backend);
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual([app.requests.length, agent.requests.length], [1, 1]);
});

test('a monitor that is stopped during its first round lets start resolve', async (t) => {
  const { monitor } = await startMonitor(t, { app: () => undefined });
  const started = monitor.start();
  monitor.stop();
  await started;
});
