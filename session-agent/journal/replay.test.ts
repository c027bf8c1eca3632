import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommitDurability } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { closeJournal, journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { MemorySource } from '../testing/memory-source.ts';
import { MemoryStore } from '../testing/memory-store.ts';

const SERVE: CommitDurability = { mode: 'ack', onStoreDown: 'serve' };

/** An agent that was killed, and its app with it, while the store was away: what it acknowledged is in its journal only. */
async function afterCrash(
  options: { readonly known?: boolean; readonly journaled?: readonly string[] } = {},
) {
  const { known = true, journaled = ['two pears'] } = options;
  const directory = journalDirectory();
  const store = new MemoryStore();
  const source = new MemorySource();
  const { journal } = await openJournal(directory);
  const { agent } = await startTestAgent({ store, source, journal });
  if (known) {
    source.write('alice', 'one pear');
    await commitAll(agent, 'alice');
  }
  store.fault = () => 'unreachable';
  for (const text of journaled) {
    source.write('alice', text);
    const [commit] = await agent.commit(['alice'], PATIENCE_MS, { durability: SERVE });
    assert.equal(commit?.outcome, 'journaled');
  }
  // What a killed process leaves: it sends nothing any more.
  const frozen = new MemoryStore();
  for (const [key, record] of store.records) frozen.records.set(key, record);
  await closeJournal(journal);
  return { directory, store: frozen };
}

async function restart({ directory, store }: { readonly directory: string; readonly store: MemoryStore }) {
  const { journal, tombstones } = await openJournal(directory);
  const attached = false;
  return { ...(await startTestAgent({ store, journal, tombstones, attached })), journal };
}

for (const known of [true, false]) {
  test(`what was journaled for a ${known ? 'known' : 'new'} session is in the store before the agent is ready`, async () => {
    const crashed = await afterCrash({ known, journaled: ['two pears', 'three pears'] });
    const { agent, source, stored, journal } = await restart(crashed);
    source.listener.attached();
    await until(() => agent.notReady === undefined);
    assert.equal(await stored('alice'), 'three pears');
    assert.equal(agent.counters.replayed, 1);
    assert.deepEqual(journal.counts, { snapshot: 0, logout: 0, tombstone: 0 });
    const session = await source.listener.missed('alice');
    assert.equal(session && Buffer.from(session.data).toString(), 'three pears');
  });
}

test('a damaged record does not keep the agent from being ready, and its entry stays', async () => {
  const crashed = await afterCrash();
  crashed.store.commit = async () => {
    throw new StickshiftError('STORE_INVALID', 'a field is missing');
  };
  const { agent, source, journal } = await restart(crashed);
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal(journal.counts.snapshot, 1);
});

test('an agent whose store is still away at its start is not ready, and gives the app nothing old', async () => {
  const crashed = await afterCrash();
  crashed.store.fault = (operation) => (operation === 'commit' ? 'unreachable' : 'none');
  const { agent, source, stored } = await restart(crashed);
  source.listener.attached();
  await assert.rejects(source.listener.missed('alice'), { code: 'STORE_UNREACHABLE' });
  assert.notEqual(agent.notReady, undefined);
  crashed.store.fault = () => 'none';
  await until(() => agent.notReady === undefined);
  assert.equal(await stored('alice'), 'two pears');
});

test('what was committed all the same, its answer lost, is settled', async () => {
  const crashed = await afterCrash({ known: false });
  const answers = ['lost-applied', 'none'] as const;
  let commits = 0;
  crashed.store.fault = (operation) => (operation === 'commit' ? (answers[commits++] ?? 'none') : 'none');
  const { agent, source, stored } = await restart(crashed);
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal(await stored('alice'), 'two pears');
  assert.equal(agent.counters.lostAtTakeover, 0);
});

for (const [how, takeOver] of [
  ['taken over', (store: MemoryStore) => store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 })],
  [
    'logged out',
    (store: MemoryStore) =>
      store.end(keyOf('alice'), { owner: 'app-1', epoch: 1, until: Date.now() + 60_000 }),
  ],
] as const) {
  test(`a session that was ${how} meanwhile stays so; what is lost with that is counted and reported`, async () => {
    const crashed = await afterCrash();
    await takeOver(crashed.store);
    const before = { ...crashed.store.records.get(keyOf('alice')) };
    const { agent, source, warnings } = await restart(crashed);
    source.listener.attached();
    await until(() => agent.notReady === undefined);
    assert.deepEqual({ ...crashed.store.records.get(keyOf('alice')) }, before);
    assert.equal(agent.counters.lostAtTakeover, 1);
    assert.ok(warnings.some(({ msg }) => /are lost/.test(msg)));
  });
}

test('a new session that was journaled is not written over another one by its ID', async () => {
  const crashed = await afterCrash({ known: false });
  await crashed.store.commit(keyOf('alice'), {
    owner: 'app-1',
    epoch: 1,
    seq: 1,
    snapshot: Buffer.from('somebody else’s'),
    deadlines: { idleAt: Date.now() + 60_000, absoluteAt: undefined },
  });
  const { agent, source } = await restart(crashed);
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  const record = crashed.store.records.get(keyOf('alice'));
  assert.equal(record && Buffer.from(record.snapshot).toString(), 'somebody else’s');
  assert.equal(agent.counters.lostAtTakeover, 1);
});

test('a logout that the store did not hear of is not forgotten with the agent', async () => {
  const directory = journalDirectory();
  const store = new MemoryStore();
  const source = new MemorySource();
  const { journal } = await openJournal(directory);
  const { agent } = await startTestAgent({ store, source, journal });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  await assert.rejects(source.logout('alice'));
  const frozen = new MemoryStore();
  for (const [key, record] of store.records) frozen.records.set(key, record);
  await closeJournal(journal);

  const { source: again, agent: later } = await restart({ directory, store: frozen });
  again.listener.attached();
  await until(() => later.notReady === undefined);
  assert.equal(frozen.records.get(keyOf('alice'))?.state, 'ended');
  assert.equal(await again.listener.missed('alice'), undefined);
});
