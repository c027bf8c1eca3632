import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, seal, startTestAgent, until } from '../testing/agent-under-test.ts';
import { journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** A store in which app-2 has committed a cart of alice's as commit `seq` of epoch 1. */
async function storeWithCart(seq = 5): Promise<MemoryStore> {
  const store = new MemoryStore();
  const payload = {
    source: 'express' as const,
    sessionId: 'alice',
    idleAt: 0,
    data: Buffer.from('a full cart'),
  };
  await store.commit(keyOf('alice'), {
    owner: 'app-2',
    epoch: 1,
    seq,
    snapshot: await seal.seal(keyOf('alice'), { epoch: 1, seq }, payload),
    deadlines: { idleAt: Date.now() + 3_600_000, absoluteAt: Date.now() + 7_200_000 },
  });
  return store;
}

function record(store: MemoryStore) {
  return store.records.get(keyOf('alice')) ?? assert.fail('there is no record');
}

test('an adopted session is in the app before the answer', async () => {
  const store = await storeWithCart();
  const { agent, source } = await startTestAgent({ store });
  const answer = await agent.adopt('alice', 1);
  assert.equal(answer.outcome, 'found');
  assert.deepEqual(
    { ...answer, ageMs: 0, size: 0 },
    { outcome: 'found', epoch: 2, seq: 5, ageMs: 0, size: 0 },
  );
  assert.equal(source.text('alice'), 'a full cart');
  assert.equal(record(store).owner, 'app-1');
});

test('an adopted session goes on with the next seq, its new epoch and its absolute deadline', async () => {
  const store = await storeWithCart();
  const { absoluteAt } = record(store).deadlines;
  const { agent, source } = await startTestAgent({ store });
  await agent.adopt('alice', 1);
  source.write('alice', 'one more');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed', epoch: 2, seq: 6 }]);
  assert.equal(record(store).deadlines.absoluteAt, absoluteAt);
});

test('a session begun while the store is away is found if somebody was told that it is kept', async () => {
  const { journal } = await openJournal(journalDirectory());
  const { agent, source, store } = await startTestAgent({ journal });
  store.fault = () => 'unreachable';
  for (const id of ['alice', 'bob']) source.write(id, 'one pear');
  const serve = { mode: 'ack', onStoreDown: 'serve' } as const;
  assert.partialDeepStrictEqual(await agent.commit(['alice'], PATIENCE_MS, { durability: serve }), [
    { outcome: 'journaled' },
  ]);
  assert.partialDeepStrictEqual(await agent.adopt('alice', 1), { outcome: 'found', epoch: 1 });
  assert.partialDeepStrictEqual(await agent.adopt('alice', 2), { outcome: 'unknown' });
  assert.partialDeepStrictEqual(await agent.adopt('bob', 1), { outcome: 'unknown' });
});

test('a session that is held already is found without the store', async () => {
  const store = await storeWithCart();
  const { agent } = await startTestAgent({ store });
  await agent.adopt('alice', 1);
  const calls = store.calls;
  store.fault = () => 'unreachable';
  const answer = await agent.adopt('alice', 2);
  assert.equal(answer.outcome === 'found' && answer.epoch, 2);
  assert.equal(store.calls, calls);
});

test('an adopt that was sent twice finds the session both times', async () => {
  const store = await storeWithCart();
  const { agent, source } = await startTestAgent({ store });
  let lost = 0;
  store.fault = () => (lost++ < 1 ? 'lost-applied' : 'none');
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'STORE_TIMEOUT' });
  const again = await agent.adopt('alice', 1);
  assert.equal(again.outcome === 'found' && again.epoch, 2);
  assert.equal(source.text('alice'), 'a full cart');
});

test('adopts of one session at the same time install it once', async () => {
  const { agent, source } = await startTestAgent({ store: await storeWithCart() });
  const answers = await Promise.all([
    agent.adopt('alice', 1),
    agent.adopt('alice', 1),
    agent.adopt('alice', 1),
  ]);
  assert.deepEqual(
    answers.map(({ outcome }) => outcome),
    ['found', 'found', 'found'],
  );
  assert.deepEqual(source.installed, ['alice']);
});

test('a session without a record is absent', async () => {
  const { agent } = await startTestAgent();
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'absent' });
});

test('a session that was logged out is ended', async () => {
  const { agent, store } = await startTestAgent();
  await store.end(keyOf('alice'), { owner: 'app-2', epoch: 0, until: Date.now() + 60_000 });
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'ended' });
});

test('a session that somebody else took first has moved', async () => {
  const store = await storeWithCart();
  await store.adopt(keyOf('alice'), { owner: 'app-3', ifEpoch: 1 });
  const { agent, source } = await startTestAgent({ store });
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'moved', owner: 'app-3', epoch: 2 });
  assert.deepEqual(source.installed, []);
});

test('while the store is away nothing is known', async () => {
  const store = await storeWithCart();
  const { agent } = await startTestAgent({ store });
  store.fault = () => 'unreachable';
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  assert.equal(agent.counters.adopts.unknown, 1);
});

test('a snapshot that cannot be read is given back for another backend to try', async () => {
  const store = await storeWithCart();
  record(store).snapshot = new Uint8Array(100);
  const { agent, source } = await startTestAgent({ store });
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'SNAPSHOT_CORRUPT' });
  assert.equal(record(store).state, 'released');
  assert.deepEqual(source.installed, []);
  assert.equal(agent.owned.size, 0);
});

test('a session that the app does not take is given back', async () => {
  const store = await storeWithCart();
  const { agent, source } = await startTestAgent({ store });
  source.installFailure = new StickshiftError('SOURCE_FAILED', 'disk full');
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'SOURCE_FAILED' });
  assert.equal(record(store).state, 'released');
  assert.deepEqual(source.forgotten, ['alice']);

  source.installFailure = undefined;
  const answer = await agent.adopt('alice', 2);
  assert.equal(answer.outcome === 'found' && answer.epoch, 3);
});

test('a snapshot of another kind of source is not installed', async () => {
  const store = await storeWithCart();
  const payload = {
    source: 'files' as const,
    sessionId: 'alice',
    idleAt: 0,
    data: Buffer.from('cart|a:0:{}'),
  };
  record(store).snapshot = await seal.seal(keyOf('alice'), { epoch: 1, seq: 5 }, payload);
  const { agent } = await startTestAgent({ store });
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'SNAPSHOT_CORRUPT' });
});

test('an empty session that the app made gives way to the adopted one', async () => {
  const store = await storeWithCart();
  const { agent, source } = await startTestAgent({ store });
  source.write('alice', 'an empty cart');
  const answer = await agent.adopt('alice', 1);
  assert.equal(answer.outcome, 'found');
  assert.equal(source.text('alice'), 'a full cart');
});

test('a session that is newer in the record than here is fetched anew', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'old');
  await commitAll(agent, 'alice');
  // Away to app-2, changed there and released, while this agent heard of nothing.
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  const payload = { source: 'express' as const, sessionId: 'alice', idleAt: 0, data: Buffer.from('new') };
  const snapshot = await seal.seal(keyOf('alice'), { epoch: 2, seq: 2 }, payload);
  const { deadlines } = record(store);
  await store.commit(keyOf('alice'), { owner: 'app-2', epoch: 2, seq: 2, snapshot, deadlines });

  const answer = await agent.adopt('alice', 2);
  assert.equal(answer.outcome === 'found' && answer.epoch, 3);
  assert.equal(source.text('alice'), 'new');
});

test('before the agent is ready it adopts nothing', async () => {
  const store = await storeWithCart();
  const { agent } = await startTestAgent({ store, attached: false });
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'SOURCE_FAILED' });
  assert.equal(record(store).epoch, 1);
});

test('a full agent claims nothing', async () => {
  const store = await storeWithCart();
  const { agent, source } = await startTestAgent({ store, limits: { sessions: 1 } });
  source.write('bob', 'cart');
  await until(() => agent.owned.isFull);
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
  assert.equal(record(store).owner, 'app-2');
});
