import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { configSchema } from '../../config/schema.ts';
import { GatewayCounters } from '../counters.ts';
import { createHealthMonitor } from '../health/health-monitor.ts';
import { eventually } from '../testing/eventually.ts';
import { FakeWorker } from '../testing/fake-worker.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import type { WorkerReport } from './messages.ts';
import { Workers } from './workers.ts';

const APP_1 = { pool: 'shop', id: 'app-1' };

function reportOf(bound: number, inFlight = 0, sessionsOn: readonly string[] = []): WorkerReport {
  const counters = new GatewayCounters();
  counters.routed.bound = bound;
  for (let i = 0; i < bound; i++) counters.countResponse(200);
  return {
    counters: structuredClone(counters),
    oddSessionIds: { shop: { malformed: bound } },
    webSockets: 1,
    backends: [{ backend: APP_1, inFlight, isLeased: true }],
    sessionsOn,
  };
}

/** Two workers, neither of which serves yet. */
function setUp(t: TestContext) {
  const pool = testPool({ 'app-1': {}, 'app-2': {} }, { ejection: { failures: 2, duration: '1m' } });
  for (const backend of pool.backends.values()) Object.assign(backend, { appUp: true, agentUp: true });
  const { gateway: settings } = configSchema.parse({
    secret: 'a secret of the tests, long enough to be one',
    gateway: { listen: '127.0.0.1:0', timeouts: { shutdown: '1s' } },
  });
  const log = recordedLog();
  const health = createHealthMonitor({ pools: [pool], agentToken: 'token', logger: log.logger });
  const threads: FakeWorker[] = [];
  const workers = new Workers({
    ...{ count: 2, settings, pools: [pool], health, logger: log.logger },
    startWorker: () => {
      const worker = new FakeWorker();
      threads.push(worker);
      return worker.thread;
    },
  });
  t.after(() => health.stop());
  t.after(() => workers.stop());
  const worker = (index: number): FakeWorker => {
    const found = threads[index];
    assert.ok(found, `worker ${index} has been started`);
    return found;
  };
  return { workers, health, log, threads, worker, app: backendOf(pool, 'app-1') };
}

/** Two workers that serve. */
async function serving(t: TestContext) {
  const scene = setUp(t);
  await scene.workers.prepare();
  const listening = scene.workers.listen();
  for (const index of [0, 1]) {
    await eventually(() => scene.worker(index).toldOf('begin').length > 0, `worker ${index} is to begin`);
    scene.worker(index).says({ type: 'listening', address: '127.0.0.1:1234' });
  }
  assert.equal(await listening, '127.0.0.1:1234');
  return scene;
}

describe('workers', () => {
  test('listen where the first of them does, and begin with what is known of backends', async (t) => {
    const { worker } = await serving(t);
    const [first] = worker(0).toldOf('begin');
    const [second] = worker(1).toldOf('begin');
    assert.deepEqual([first?.listen, second?.listen], ['127.0.0.1:0', '127.0.0.1:1234']);
    assert.equal(second?.connections, 8192);
    const { backend, state } = second?.backends[0] ?? {};
    assert.deepEqual([backend, state?.appUp, state?.adminState], [APP_1, true, 'ready']);
  });

  test('do not begin when the first of them cannot serve', async (t) => {
    const { workers, worker } = setUp(t);
    await workers.prepare();
    const listening = workers.listen();
    await eventually(() => worker(0).toldOf('begin').length > 0, 'the first is to begin');
    worker(0).says({ type: 'failed', code: 'STORE_FOREIGN', message: 'another installation’s' });
    worker(0).exit(0);
    await assert.rejects(listening, { code: 'STORE_FOREIGN', message: 'another installation’s' });
    assert.deepEqual(worker(1).toldOf('begin'), []);
  });

  test('are all told what one of them has met', async (t) => {
    const { worker, app } = await serving(t);
    const states = (index: number) => worker(index).toldOf('backend');
    worker(0).says({ type: 'connect-failed', backend: APP_1, reason: 'refused' });
    assert.deepEqual(
      states(1).map(({ state, distrust }) => [state.isClean, state.ejectedUntil, distrust]),
      [[false, 0, false]],
    );
    worker(1).says({ type: 'connect-failed', backend: APP_1, reason: 'refused' });
    const last = states(0).at(-1);
    assert.ok(app.ejectedUntil > Date.now(), 'two failures in a row, though each of another worker');
    assert.equal(last?.state.ejectedUntil, app.ejectedUntil);
    assert.ok(states(0).some(({ distrust }) => distrust));
  });

  test('forget a failure of one when another one has succeeded', async (t) => {
    const { worker, app } = await serving(t);
    worker(0).says({ type: 'backend-reset', backend: APP_1 });
    worker(1).says({ type: 'succeeded', backend: APP_1 });
    assert.equal(worker(0).toldOf('backend').at(-1)?.state.isClean, true);
    worker(0).says({ type: 'backend-reset', backend: APP_1 });
    assert.equal(app.ejectedUntil, 0);
  });

  test('withdraw their trust when it is withdrawn', async (t) => {
    const { worker, app } = await serving(t);
    app.lease.distrust();
    for (const index of [0, 1]) assert.equal(worker(index).toldOf('backend').at(-1)?.distrust, true);
  });

  test('are told of an operator’s wish once', async (t) => {
    const { workers, worker, app } = await serving(t);
    app.adminState = 'drain';
    workers.stateChanged(app);
    workers.stateChanged(app);
    assert.deepEqual(
      worker(1)
        .toldOf('backend')
        .map(({ state }) => state.adminState),
      ['drain'],
    );
  });

  test('count together', async (t) => {
    const { workers, worker, app } = await serving(t);
    worker(0).report = reportOf(3, 1, ['a']);
    worker(1).report = reportOf(4, 2, ['b', 'c']);
    assert.deepEqual([...(await workers.inFlightSessions(app))], ['a', 'b', 'c']);
    const { counters, oddSessionIds, webSockets } = workers.figures;
    assert.deepEqual([counters.routed.bound, counters.responses, webSockets], [7, { '2xx': 7 }, 2]);
    assert.deepEqual([oddSessionIds, app.inFlight], [{ shop: { malformed: 7 } }, 3]);
    assert.equal(workers.isLeased(app), true);
  });

  test('count on when one of them has died, and what it had counted stays', async (t) => {
    const { workers, worker, threads, log } = await serving(t);
    worker(0).report = reportOf(3);
    worker(1).report = reportOf(4, 2);
    await workers.refresh();
    worker(1).exit(1);
    await eventually(() => threads.length === 3, 'another one is started');
    assert.deepEqual(workers.figures.workers, { configured: 2, running: 1, lost: 1 });
    worker(2).says({ type: 'listening', address: '127.0.0.1:1234' });
    worker(2).report = reportOf(1);
    await workers.refresh();
    assert.equal(workers.figures.counters.routed.bound, 8);
    assert.deepEqual(workers.figures.workers, { configured: 2, running: 2, lost: 1 });
    assert.equal(log.matching(/a worker has died/).length, 1);
  });

  test('are replaced again when what replaces one dies before it serves', async (t) => {
    const { workers, worker, threads, log } = await serving(t);
    worker(0).exit(1);
    await eventually(() => threads.length === 3, 'another one is started');
    worker(2).says({ type: 'failed', code: 'STORE_UNREACHABLE', message: 'away' });
    worker(2).exit(0);
    await eventually(() => threads.length === 4, 'and another one');
    worker(3).says({ type: 'listening', address: '127.0.0.1:1234' });
    assert.deepEqual(workers.figures.workers, { configured: 2, running: 2, lost: 2 });
    assert.equal(log.matching(/could not be replaced/).length, 1);
  });

  test('are taken for busy everywhere while one of them does not answer', async (t) => {
    const { workers, worker, app } = await serving(t);
    worker(0).report = reportOf(0);
    await workers.refresh();
    assert.equal(app.inFlight, 1);
    worker(1).report = reportOf(0);
    await workers.refresh();
    assert.equal(app.inFlight, 0);
  });

  test('are not replaced when they are stopped', async (t) => {
    const { workers, worker, threads, log } = await serving(t);
    await workers.stop();
    for (const index of [0, 1]) assert.equal(worker(index).toldOf('stop').length, 1);
    assert.equal(threads.length, 2);
    assert.deepEqual(log.matching(/died/), []);
  });

  test('get the answer to a question of theirs', async (t) => {
    const { worker } = await serving(t);
    worker(1).says({ type: 'probe-app', number: 7, backend: APP_1 });
    await eventually(() => worker(1).toldOf('app-probed').length > 0, 'it is answered');
    assert.deepEqual(worker(1).toldOf('app-probed'), [{ type: 'app-probed', number: 7, isAlive: false }]);
    assert.deepEqual(worker(0).toldOf('app-probed'), []);
  });
});
