import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import pino from 'pino';
import type { BackendAnnouncement } from '../store/snapshot-store.ts';
import { Announcer } from './announcer.ts';
import { until } from './testing/agent-under-test.ts';
import { MemoryStore } from './testing/memory-store.ts';

const started = new Set<Announcer>();
afterEach(() => {
  for (const announcer of started) announcer.stop();
  started.clear();
});

function announcement(agent: string, incarnation = 'first'): BackendAnnouncement {
  const url = 'http://127.0.0.1:8000';
  return { id: 'app-1', application: 'shop', url, agent, incarnation, ready: true, sessions: 0 };
}

async function announce(store: MemoryStore, backend: BackendAnnouncement): Promise<Announcer> {
  const announcer = new Announcer(store, () => backend, pino({ enabled: false }));
  started.add(announcer);
  await announcer.start();
  return announcer;
}

test('an agent may act as its backend once the store has heard of it', async () => {
  const store = new MemoryStore();
  store.fault = () => 'unreachable';
  const announcer = await announce(store, announcement('http://127.0.0.1:9001'));
  assert.equal(announcer.barred?.code, 'STORE_UNREACHABLE');
  store.fault = () => 'none';
  await until(() => announcer.barred === undefined);
});

test('a second agent of the same backend is barred, and told where the first is', async () => {
  const store = new MemoryStore();
  const first = await announce(store, announcement('http://127.0.0.1:9001'));
  const second = await announce(store, announcement('http://127.0.0.1:9002', 'second'));
  assert.equal(second.barred?.code, 'BACKEND_CLAIMED');
  assert.match(second.barred?.message ?? '', /127\.0\.0\.1:9001/);
  assert.equal(first.barred, undefined);
});

test('its former life does not bar an agent', async () => {
  const store = new MemoryStore();
  await announce(store, announcement('http://127.0.0.1:9001'));
  const again = await announce(store, announcement('http://127.0.0.1:9001', 'second'));
  assert.equal(again.barred, undefined);
});

test('an agent that stopped cleanly makes room at once', async () => {
  const store = new MemoryStore();
  const first = await announce(store, announcement('http://127.0.0.1:9001'));
  const second = await announce(store, announcement('http://127.0.0.1:9002', 'second'));
  assert.notEqual(second.barred, undefined);
  first.stop();
  await first.withdraw();
  await until(() => second.barred === undefined);
});
