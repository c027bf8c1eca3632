import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { closeJournal, journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { MemorySource } from '../testing/memory-source.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** Long enough that a test never sees the end of it by itself. */
const LONG_MS = 3_600_000;
/** Short enough to wait for. */
const SETTLE_MS = 200;

test('a store that was emptied gets every session back, in its epoch', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  const ids = Array.from({ length: 200 }, (_, index) => `session ${index}`);
  for (const id of ids) source.write(id, `cart of ${id}`);
  await until(() => agent.owned.dirty.size === 0);
  assert.equal((await agent.adopt('session 0', 1)).outcome, 'found');
  await agent.release('session 1');
  await agent.adopt('session 1', 1);
  store.loseData();
  await until(() => store.records.size === ids.length && agent.owned.dirty.size === 0);
  for (const id of ids) assert.equal(await stored(id), `cart of ${id}`);
  assert.equal(store.records.get(keyOf('session 1'))?.epoch, 2);
  assert.equal(agent.counters.reseeded, ids.length);
});

test('what the store has forgotten since a failover is written again, and nothing else', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  for (const id of ['old', 'changed', 'moved here']) source.write(id, 'one pear');
  await commitAll(agent, 'old', 'changed', 'moved here');
  await agent.release('moved here');
  const checkpoint = store.checkpoint();
  await agent.adopt('moved here', 1);
  for (const id of ['changed', 'new']) source.write(id, 'two pears');
  await commitAll(agent, 'changed', 'new');
  const { length } = store.sent;
  store.forgetTail(checkpoint);
  await until(() => agent.counters.reseeded === 3);
  assert.deepEqual(
    new Set(store.sent.slice(length).map(({ key }) => key)),
    new Set(['changed', 'new', 'moved here'].map(keyOf)),
  );
  assert.equal(await stored('changed'), 'two pears');
  const record = store.records.get(keyOf('moved here'));
  assert.deepEqual([record?.owner, record?.epoch, record?.state], ['app-1', 2, 'active']);
  assert.ok(source.sessions.has('moved here'), 'and nothing was forgotten by the app');
});

test('a session that has a newer epoch in the store is somebody else’s', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  const record = store.records.get(keyOf('alice')) ?? assert.fail();
  record.owner = 'app-2';
  record.epoch = 2;
  store.forgetTail(store.checkpoint());
  await until(() => source.forgotten.includes('alice'));
  assert.equal(agent.owned.size, 0);
  assert.equal(store.records.get(keyOf('alice'))?.owner, 'app-2');
});

test('a logged-out session stays logged out in a store that was emptied, also after a restart of the agent', async () => {
  const directory = journalDirectory();
  const store = new MemoryStore({ settleMs: SETTLE_MS });
  const { journal } = await openJournal(directory);
  const { agent, source } = await startTestAgent({ store, journal });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await source.logout('alice');
  const tombstone = { ...store.records.get(keyOf('alice')) };
  store.loseData();
  await until(() => store.records.get(keyOf('alice'))?.state === 'ended');
  assert.equal(store.records.get(keyOf('alice'))?.deadlines.idleAt, tombstone.deadlines?.idleAt);
  await agent.stop(0);
  await closeJournal(journal);

  store.loseData();
  const again = await openJournal(directory);
  await startTestAgent({ store, journal: again.journal, tombstones: again.tombstones });
  await until(() => store.records.get(keyOf('alice'))?.state === 'ended');
});

test('the store settles until the agent is done', async () => {
  const store = new MemoryStore({ settleMs: SETTLE_MS });
  const { agent, source } = await startTestAgent({ store });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  const gate = Promise.withResolvers<void>();
  source.onCapture = () => gate.promise;
  store.loseData();
  await until(() => store.settlingMs > SETTLE_MS);
  gate.resolve();
  await until(() => agent.counters.reseeded === 1);
});

test('it goes on where the store fails on the way', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  for (const id of ['alice', 'bob']) source.write(id, `cart of ${id}`);
  await commitAll(agent, 'alice', 'bob');
  let calls = 0;
  store.fault = () => (calls++ % 3 === 0 ? 'lost' : 'none');
  store.loseData();
  await until(async () => (await stored('alice')) !== undefined && (await stored('bob')) !== undefined);
});

test('the store settles until a commit that was lost on the way stands', async () => {
  const store = new MemoryStore({ settleMs: SETTLE_MS });
  // The replicator itself would try again only long after the store has settled.
  const times = { base: 50, cap: 50, hurried: LONG_MS };
  const { agent, source, stored } = await startTestAgent({ store, times });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  let isLost = true;
  store.fault = (operation) => (operation === 'commit' && isLost ? 'lost' : 'none');
  store.loseData();
  await until(() => store.settlingMs > SETTLE_MS);
  isLost = false;
  await until(async () => (await stored('alice')) === 'one pear');
});

test('a damaged record does not keep the store settling', async () => {
  const store = new MemoryStore({ settleMs: SETTLE_MS });
  const { agent, source, warnings, stored } = await startTestAgent({ store });
  for (const id of ['alice', 'bob']) source.write(id, `cart of ${id}`);
  await commitAll(agent, 'alice', 'bob');
  const { lookup } = store;
  store.lookup = async (key) => {
    if (key === keyOf('alice')) throw new StickshiftError('STORE_INVALID', 'a field is missing');
    return lookup.call(store, key);
  };
  store.loseData();
  await until(async () => store.settlingMs === 0 && (await stored('bob')) !== undefined);
  assert.deepEqual(
    warnings.filter(({ msg }) => msg.includes('damaged')).map(({ msg }) => msg),
    ['the record of a session is damaged'],
  );
});

test('while the store settles nothing changes its owner, and what is held is served', async () => {
  const { agent, source, store } = await startTestAgent();
  for (const id of ['held', 'in the store']) source.write(id, 'one pear');
  await commitAll(agent, 'held', 'in the store');
  await agent.release('in the store');
  store.beginSettling(LONG_MS);
  assert.equal((await agent.adopt('held', 1)).outcome, 'found');
  const refused = { outcome: 'unknown', code: 'STORE_SETTLING' };
  assert.deepEqual(await agent.adopt('in the store', 1), refused);
  assert.deepEqual(await agent.adopt('nowhere', 1), refused);
  assert.deepEqual(await agent.release('held'), refused);
  for (const id of ['in the store', 'nowhere']) {
    await assert.rejects(source.listener.missed(id), { code: 'STORE_SETTLING' });
  }
  source.write('held', 'two pears');
  await commitAll(agent, 'held');
});

test('a restarted agent takes an absent record for a new session only when the store has settled', async () => {
  const store = new MemoryStore({ settleMs: SETTLE_MS });
  const source = new MemorySource();
  for (const id of ['moved', 'mine']) {
    source.sessions.set(id, { data: Buffer.from('one pear'), idleAt: Date.now() + LONG_MS });
  }
  store.loseData();
  const { agent, stored } = await startTestAgent({ store, source, attached: false });
  source.listener.attached();
  await until(() => agent.notReady?.includes('STORE_SETTLING') ?? false);
  // Another agent, which was not restarted, writes again what it owns.
  await store.commit(keyOf('moved'), {
    owner: 'app-2',
    epoch: 4,
    seq: 9,
    snapshot: new Uint8Array(),
    deadlines: { idleAt: Date.now() + LONG_MS, absoluteAt: undefined },
  });
  await until(() => agent.notReady === undefined);
  await until(async () => (await stored('mine')) === 'one pear');
  assert.deepEqual([...source.sessions.keys()], ['mine']);
});

test('an app that comes back while the store has fallen back keeps what is its agent’s', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.records.clear();
  source.listener.detached('the link broke');
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  const [commit] = await agent.commit(['alice'], PATIENCE_MS);
  assert.equal(commit?.outcome, 'committed');
  assert.equal(await stored('alice'), 'one pear');
});
