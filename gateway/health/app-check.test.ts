import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../testing/eventually.ts';
import { OFTEN, ok, RARELY, startMonitor, status } from '../testing/health-monitor-under-test.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { createHealthMonitor } from './health-monitor.ts';

describe('an app server', () => {
  for (const code of [200, 204, 302]) {
    test(`that answers ${code} is up`, async (t) => {
      const { monitor, backend, app } = await startMonitor(t, { app: status(code) });
      await monitor.start();
      assert.equal(backend.appUp, true);
      assert.equal(app.requests.length, 1, 'a redirect is not followed');
    });
  }

  for (const code of [404, 500, 503]) {
    test(`that answers ${code} is down`, async (t) => {
      const { monitor, backend } = await startMonitor(t, { app: status(code) });
      await monitor.start();
      assert.equal(backend.appUp, false);
    });
  }

  test('that does not answer in time is down', async (t) => {
    const { monitor, backend } = await startMonitor(t, {
      app: () => undefined,
      health: { interval: '1h', timeout: '50ms' },
    });
    await monitor.start();
    assert.equal(backend.appUp, false);
    assert.equal(backend.agentUp, true);
  });

  test('is up however long its answer is', async (t) => {
    const { monitor, backend } = await startMonitor(t, {
      app: (_, response) => response.write('x'.repeat(1024 * 1024)),
    });
    await monitor.start();
    assert.equal(backend.appUp, true);
  });

  test('falls after three bad checks and rises after two good ones', async (t) => {
    const { monitor, backend, app } = await startMonitor(t, { health: OFTEN });
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
    const { monitor, backend, app } = await startMonitor(t, { health: OFTEN });
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
    const { monitor, app } = await startMonitor(t, { health: OFTEN });
    await monitor.start();
    await eventually(() => app.requests.length >= 5, 'five checks');
    assert.equal(app.connections, 1);
  });

  test('is not down because a kept-alive connection of the checks was closed', async (t) => {
    const { monitor, app, backend } = await startMonitor(t, { health: { ...OFTEN, fall: 1 } });
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
