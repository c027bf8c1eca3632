import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AgentUnderTest,
  commitAll,
  keyOf,
  PATIENCE_MS,
  startTestAgent,
  until,
} from '../testing/agent-under-test.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** Short enough to wait for its end, and long enough to look at what happens before. */
const TTL_MS = 400;

/** A session that app-1 has taken over from app-2, and a moment before; `planned`: after app-2 had released it. */
async function takeover({
  planned = false,
  ttlMs = TTL_MS,
} = {}): Promise<AgentUnderTest & { readonly takenAt: number }> {
  const store = new MemoryStore();
  const other = await startTestAgent({ store, backend: 'app-2' });
  other.source.write('alice', 'one pear');
  await commitAll(other.agent, 'alice');
  if (planned) await other.agent.release('alice');
  const leases = { formerLife: false, ttlMs };
  const test = await startTestAgent({ store, leases, logoutWaitMs: PATIENCE_MS });
  const takenAt = performance.now();
  assert.equal((await test.agent.adopt('alice', 1)).outcome, 'found');
  return { ...test, takenAt };
}

const state = ({ store }: AgentUnderTest) => store.records.get(keyOf('alice'))?.state;

test('a logout right after a takeover stands at once, and is answered when nobody can trust the former owner any more', async () => {
  const test = await takeover();
  let isAnswered = false;
  const logout = test.source.logout('alice').then(() => {
    isAnswered = true;
  });
  await until(() => state(test) === 'ended');
  assert.ok(!isAnswered || performance.now() >= test.takenAt + TTL_MS);
  assert.deepEqual(await test.agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'ended' }]);
  await logout;
  assert.ok(performance.now() >= test.takenAt + TTL_MS);
});

test('whoever cannot wait so long is not told that it has ended', async () => {
  const test = await takeover();
  void test.source.logout('alice');
  assert.partialDeepStrictEqual(await test.agent.commit(['alice'], 1), [{ outcome: 'unknown' }]);
});

test('a new ID right after a takeover is answered when nobody can trust the former owner with the old one', async () => {
  const { agent, source, store, takenAt } = await takeover();
  void source.replace('alice', 'alice again');
  source.write('alice again', 'two pears');
  const commits = await agent.commit(['alice', 'alice again'], PATIENCE_MS);
  assert.deepEqual(
    commits.map(({ outcome }) => outcome),
    ['ended', 'committed'],
  );
  assert.ok(performance.now() >= takenAt + TTL_MS);
  assert.equal(store.records.get(keyOf('alice again'))?.state, 'active');
});

test('a takeover whose answer was lost counts as one when the session is asked for again', async () => {
  const store = new MemoryStore();
  const other = await startTestAgent({ store, backend: 'app-2' });
  other.source.write('alice', 'one pear');
  await commitAll(other.agent, 'alice');
  const leases = { formerLife: false, ttlMs: TTL_MS };
  const { agent, source } = await startTestAgent({ store, leases, logoutWaitMs: PATIENCE_MS });
  store.fault = (operation) => (operation === 'adopt' ? 'lost-applied' : 'none');
  const takenAt = performance.now();
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'STORE_TIMEOUT' });
  store.fault = () => 'none';
  assert.equal((await agent.adopt('alice', 2)).outcome, 'found');
  await source.logout('alice');
  assert.ok(performance.now() >= takenAt + TTL_MS);
});

test('after a planned move nobody waits: the former owner has let go', async () => {
  const { agent, source } = await takeover({ planned: true });
  await source.logout('alice');
  assert.deepEqual(await agent.commit(['alice'], 1), [{ outcome: 'ended' }]);
});

test('a session that was just taken over is not passed on before, for the next owner would not know', async () => {
  const { agent, source } = await takeover({ ttlMs: 2_000 });
  source.write('bob', 'one pear');
  await commitAll(agent, 'bob');
  assert.partialDeepStrictEqual(await agent.releaseIdle(new Set(), 10), { released: 1, remaining: 1 });
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'SESSION_MOVING' });
  assert.equal(source.text('alice'), 'one pear', 'it is served meanwhile');
  await until(async () => (await agent.release('alice')).outcome === 'released');
});

test('an agent that may have had a former life waits for what that may have taken over', async () => {
  const bornAt = performance.now();
  const { agent, source } = await startTestAgent({ leases: { ttlMs: TTL_MS }, logoutWaitMs: PATIENCE_MS });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await source.logout('alice');
  assert.ok(performance.now() >= bornAt + TTL_MS);
});
