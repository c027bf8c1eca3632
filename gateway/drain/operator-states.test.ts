import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import { eventually } from '../testing/eventually.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { StateStore } from '../testing/state-store.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import type { DrainProgress } from './drain-progress.ts';
import type { Drains } from './drains.ts';
import { OperatorStates } from './operator-states.ts';

/** One gateway's view. */
function gatewayOn(t: TestContext, store: StateStore) {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const started: string[] = [];
  const cancelled: string[] = [];
  const drains: Drains = {
    start: (backend, deadlineMs) => {
      started.push(`${backend.id} ${backend.adminState} ${deadlineMs}`);
      return {} as DrainProgress;
    },
    cancel: (backend) => cancelled.push(backend.id),
    progress: () => undefined,
    close: () => undefined,
  };
  const log = recordedLog();
  const states = new OperatorStates({ pools: [pool], store, drains, logger: log.logger, pollMs: 10 });
  t.after(() => states.stop());
  const app = backendOf(pool, 'app-1');
  return { states, app, started, cancelled, log };
}

const becomes = (backend: Backend, state: Backend['adminState']) =>
  eventually(() => backend.adminState === state, `${backend.id} is ${state}`);

test('what one gateway is told, every gateway does, for as long as it says', async (t) => {
  const store = new StateStore();
  const told = gatewayOn(t, store);
  const other = gatewayOn(t, store);
  await Promise.all([told.states.start(), other.states.start()]);

  await told.states.set(told.app, 'drain', 40_000);
  assert.deepEqual([told.app.adminState, told.started], ['drain', ['app-1 drain 40000']]);
  await becomes(other.app, 'drain');
  assert.deepEqual(other.started, ['app-1 drain 40000']);

  await other.states.set(other.app, 'maintenance', 40_000);
  await becomes(told.app, 'maintenance');
  assert.deepEqual(told.started.slice(1), ['app-1 maintenance 0']);

  await told.states.set(told.app, 'ready', 0);
  await becomes(other.app, 'ready');
  assert.deepEqual([told.cancelled, other.cancelled], [['app-1'], ['app-1']]);
  assert.equal(store.writes, 3, 'nobody repeats what it has read');
});

test('a drain that was asked for twice begins again everywhere', async (t) => {
  const store = new StateStore();
  const told = gatewayOn(t, store);
  const other = gatewayOn(t, store);
  await Promise.all([told.states.start(), other.states.start()]);
  await told.states.set(told.app, 'drain', 10_000);
  await eventually(() => other.started.length === 1, 'the other gateway drains');
  await told.states.set(told.app, 'drain', 60_000);
  await eventually(() => other.started.length === 2, 'and again');
  assert.equal(other.started[1], 'app-1 drain 60000');
});

test('a gateway that starts knows the states before anybody is served', async (t) => {
  const store = new StateStore();
  store.states.set('app-1', {
    application: 'shop',
    backend: 'app-1',
    state: 'drain',
    revision: 7,
    remainingMs: 1_500,
  });
  const { states, app, started } = gatewayOn(t, store);
  await states.start();
  assert.deepEqual([app.adminState, started], ['drain', ['app-1 drain 1500']]);
});

test('a gateway starts without its store, and applies the states when the store is back', async (t) => {
  const store = new StateStore();
  await store.setBackendState({ application: 'shop', backend: 'app-1', state: 'drain', deadlineMs: 5_000 });
  store.failure = new StickshiftError('STORE_UNREACHABLE', 'refused');
  const { states, app, log } = gatewayOn(t, store);
  await states.start();
  assert.equal(app.adminState, 'ready');
  await eventually(() => store.reads >= 4, 'it looks again and again');
  assert.equal(log.matching(/cannot be read/).length, 1, 'one line for one outage');
  assert.equal(states.storeFailure?.code, 'STORE_UNREACHABLE');
  store.failure = undefined;
  await becomes(app, 'drain');
  assert.equal(log.matching(/can be read again/).length, 1);
  assert.equal(states.storeFailure, undefined);
});

test('what the store does not take, is not done here either', async (t) => {
  const store = new StateStore();
  const { states, app, started } = gatewayOn(t, store);
  await states.start();
  store.failure = new StickshiftError('STORE_UNREACHABLE', 'refused');
  await assert.rejects(states.set(app, 'drain', 1_000), { code: 'STORE_UNREACHABLE' });
  assert.deepEqual([app.adminState, started], ['ready', []]);
  store.failure = undefined;
  await states.set(app, 'drain', 1_000);
  assert.equal(app.adminState, 'drain', 'and may be tried again');
});

test('a store that forgets what was asked for is told again, and nobody stops draining', async (t) => {
  const store = new StateStore();
  const gateways = [gatewayOn(t, store), gatewayOn(t, store)] as const;
  const [first, second] = gateways;
  await Promise.all(gateways.map(({ states }) => states.start()));
  for (const state of ['ready', 'drain'] as const) await first.states.set(first.app, state, 60_000);
  await becomes(second.app, 'drain');
  store.states.clear();
  await eventually(() => store.states.get('app-1')?.state === 'drain', 'it is written again');
  const { remainingMs = 0 } = store.states.get('app-1') ?? {};
  assert.ok(remainingMs > 0 && remainingMs <= 60_000);
  await first.states.set(first.app, 'ready', 0);
  await becomes(second.app, 'ready');
  for (const { cancelled } of gateways)
    assert.ok(cancelled.length <= 2, 'ready before the drain and after it');
});

test('a backend that this gateway does not have is none of its business', async (t) => {
  const store = new StateStore();
  const { states, app } = gatewayOn(t, store);
  const change = { state: 'drain', deadlineMs: 1 } as const;
  await store.setBackendState({ application: 'shop', backend: 'elsewhere', ...change });
  await store.setBackendState({ application: 'wiki', backend: 'app-1', ...change });
  await states.start();
  assert.equal(app.adminState, 'ready');
});
