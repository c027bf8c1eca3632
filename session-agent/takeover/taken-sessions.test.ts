import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standStill } from '../../test/services/stand-still.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** Short enough to wait for its end. */
const TTL_MS = 200;

/** An agent that holds these sessions, committed. */
async function scene(ids: readonly string[], options: Parameters<typeof startTestAgent>[0] = {}) {
  const test = await startTestAgent(options);
  for (const id of ids) test.source.write(id, 'one pear');
  if (ids.length > 0) await commitAll(test.agent, ...ids);
  return test;
}

async function takeOver(store: MemoryStore, id: string, ifEpoch = 1): Promise<void> {
  assert.equal((await store.adopt(keyOf(id), { owner: 'app-2', ifEpoch })).outcome, 'adopted');
}

const isVouching = (agent: Awaited<ReturnType<typeof startTestAgent>>['agent']) => {
  const call = { backend: 'app-1', gateway: 'one', seen: -1, acknowledged: [], wait: false };
  return agent.leases.call(call).then(
    () => true,
    () => false,
  );
};

test('a session that somebody else takes over is recalled and forgotten, though nobody asks for it', async () => {
  const { agent, source, store } = await scene(['alice', 'bob', 'carol']);
  await using gateway = await LeaseHolder.start('one', (request) => agent.leases.call(request));
  await takeOver(store, 'alice');
  await takeOver(store, 'carol');
  await until(() => source.forgotten.length === 2);
  assert.deepEqual([...source.sessions.keys()], ['bob']);
  assert.deepEqual(new Set(gateway.recalled), new Set(['alice', 'carol']));
  assert.equal(agent.owned.size, 1);
});

test('so is one that has ended elsewhere', async () => {
  const { source, store } = await scene(['alice']);
  await store.end(keyOf('alice'), { owner: 'app-2', epoch: 2, until: Date.now() + 3_600_000 });
  await until(() => source.forgotten.includes('alice'));
});

test('what the store tells of sessions that are ours again, or never were, changes nothing', async () => {
  const { agent, source, store } = await scene(['alice', 'bob']);
  await agent.release('alice');
  await agent.adopt('alice', 1);
  const { length } = source.forgotten;
  agent.taken.taken([keyOf('alice'), keyOf('nobody')]);
  await takeOver(store, 'bob');
  await until(() => source.forgotten.length > length);
  assert.deepEqual([...source.sessions.keys()], ['alice']);
});

test('after a break everything is looked at: what was taken is forgotten, what is not in the store is written again', async () => {
  const { agent, source, store } = await scene(['alice', 'bob', 'carol']);
  store.cutWatches();
  await takeOver(store, 'alice');
  await store.end(keyOf('bob'), { owner: 'app-2', epoch: 2, until: Date.now() + 3_600_000 });
  store.records.delete(keyOf('carol'));
  assert.equal(source.sessions.size, 3, 'nobody tells it');
  store.restoreWatches();
  await until(() => source.forgotten.length === 2 && store.records.has(keyOf('carol')));
  assert.deepEqual([...source.sessions.keys()], ['carol']);
  assert.equal(agent.counters.reseeded, 1);
});

test('an agent that the store tells nothing vouches for nothing, and neither does one that has yet to look', async () => {
  const leases = { formerLife: false, ttlMs: TTL_MS };
  const { agent, source, store } = await scene(['alice'], { leases });
  assert.equal(await isVouching(agent), true);
  store.cutWatches();
  await takeOver(store, 'alice');
  await until(async () => !(await isVouching(agent)));
  store.fault = (operation) => (operation === 'lookup' ? 'unreachable' : 'none');
  store.restoreWatches();
  await until(() => agent.store === 'unreachable');
  assert.equal(await isVouching(agent), false);
  assert.ok(source.sessions.has('alice'), 'it cannot know');
  store.fault = () => 'none';
  await until(() => isVouching(agent));
  assert.equal(agent.owned.size, 0, 'by then it has looked');
});

test('an agent that was started vouches for nothing before the store has told it something', async () => {
  const store = new MemoryStore();
  store.cutWatches();
  const { agent } = await startTestAgent({ store, listens: false });
  assert.equal(await isVouching(agent), false);
  store.restoreWatches();
  await until(() => isVouching(agent));
});

test('a lease holds no longer than the store was heard', async () => {
  const { agent, store } = await scene([], { leases: { formerLife: false, ttlMs: TTL_MS } });
  store.cutWatches();
  const cutAt = performance.now();
  await until(async () => {
    const call = { backend: 'app-1', gateway: 'one', seen: -1, acknowledged: [], wait: false };
    const askedAt = performance.now();
    const answer = await agent.leases.call(call).catch(() => undefined);
    assert.ok(!answer || askedAt + answer.ttlMs <= cutAt + TTL_MS + 1);
    return !answer;
  });
});

test('while what was told cannot be looked up, leases reach no further', async () => {
  const { agent, store } = await scene(['alice'], { leases: { formerLife: false, ttlMs: TTL_MS } });
  store.fault = (operation) => (operation === 'lookup' ? 'unreachable' : 'none');
  await takeOver(store, 'alice');
  await until(async () => !(await isVouching(agent)));
  store.fault = () => 'none';
  await until(() => isVouching(agent));
  assert.equal(agent.owned.size, 0);
});

test('a session that is taken over while it is being adopted does not stay', async () => {
  const store = new MemoryStore();
  const { agent, source } = await scene([], { store });
  const other = await startTestAgent({ store, backend: 'app-2' });
  other.source.write('alice', 'one pear');
  await commitAll(other.agent, 'alice');
  await other.agent.release('alice');

  const { promise: installing, resolve: letGo } = Promise.withResolvers<void>();
  const install = source.install.bind(source);
  source.install = async (id, session) => {
    await installing;
    return install(id, session);
  };
  const adopt = agent.adopt('alice', 1);
  await until(() => store.records.get(keyOf('alice'))?.owner === 'app-1');
  await other.agent.adopt('alice', 2);
  letGo();
  assert.equal((await adopt).outcome, 'found');
  await until(() => source.forgotten.includes('alice'));
  assert.equal(other.source.text('alice'), 'one pear');
});

/** Longer than somebody may be silent without being taken for lost. */
const LONG_MS = 1_100;

test('an agent that stood still vouches for none of its sessions before it has heard the store again', async () => {
  const { journal } = await openJournal(journalDirectory());
  const { agent, source, store } = await scene(['alice', 'bob'], { journal });
  const serve = { mode: 'ack', onStoreDown: 'serve' } as const;
  store.cutWatches();
  await takeOver(store, 'alice');
  store.fault = () => 'unreachable';
  source.write('bob', 'two pears');
  assert.partialDeepStrictEqual(await agent.commit(['bob'], PATIENCE_MS, { durability: serve }), [
    { outcome: 'journaled' },
  ]);
  assert.equal((await agent.adopt('bob', 1)).outcome, 'found', 'it has missed nothing yet');

  standStill(LONG_MS);
  for (const id of ['alice', 'bob']) source.write(id, 'three pears');
  for (const id of ['alice', 'bob']) {
    assert.deepEqual(await agent.adopt(id, 1), { outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  }
  assert.partialDeepStrictEqual(await agent.commit(['alice', 'bob'], 50, { durability: serve }), [
    { outcome: 'unknown' },
    { outcome: 'unknown' },
  ]);

  store.fault = () => 'none';
  assert.partialDeepStrictEqual(await agent.commit(['bob'], PATIENCE_MS, { durability: serve }), [
    { outcome: 'committed' },
  ]);
  assert.equal((await agent.adopt('bob', 1)).outcome, 'found', 'the store has been asked');
  store.restoreWatches();
  await until(() => source.forgotten.includes('alice'));
  assert.partialDeepStrictEqual(await agent.commit(['alice', 'bob'], PATIENCE_MS, { durability: serve }), [
    { outcome: 'fenced' },
    { outcome: 'committed' },
  ]);
  await until(() => !agent.taken.mayInclude(keyOf('bob')));
  const { calls } = store;
  assert.equal((await agent.adopt('bob', 1)).outcome, 'found');
  assert.equal(store.calls, calls, 'it is believed again without the store');
});

test('an agent that stood still acknowledges nothing from its journal as long as gateways may take it for lost', async () => {
  const { journal } = await openJournal(journalDirectory());
  const { agent, source, store } = await scene(['alice'], { journal });
  const serve = { mode: 'ack', onStoreDown: 'serve' } as const;
  standStill(LONG_MS);
  // What tells it of takeovers is there, so it knows that there has been none; what commits is not.
  store.fault = (operation) => (operation === 'commit' ? 'unreachable' : 'none');
  await until(() => !agent.taken.mayInclude(keyOf('alice')));
  source.write('alice', 'two pears');
  const [early] = await agent.commit(['alice'], 50, { durability: serve });
  assert.equal(early?.outcome, 'unknown');
  const unsaved = { outcome: 'unknown', code: 'COMMIT_UNKNOWN' };
  assert.deepEqual(await agent.adopt('alice', 1), unsaved, 'nobody is shown what may be lost yet');
  assert.ok(agent.taken.mayBeTaken(keyOf('alice')));
  const [late] = await agent.commit(['alice'], PATIENCE_MS, { durability: serve });
  assert.equal(late?.outcome, 'journaled');
  assert.equal((await agent.adopt('alice', 1)).outcome, 'found');
  assert.ok(!agent.taken.mayBeTaken(keyOf('alice')));
});

test('while the store cannot be asked, a session that it has told of is not said to be here', async () => {
  const { agent, store } = await scene(['alice', 'bob']);
  store.fault = (operation) => (operation === 'lookup' ? 'unreachable' : 'none');
  await takeOver(store, 'alice');
  store.fault = () => 'unreachable';
  assert.equal((await agent.adopt('alice', 1)).outcome, 'unknown');
  assert.equal((await agent.adopt('bob', 1)).outcome, 'found');
});
