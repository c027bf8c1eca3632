import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommitDurability } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionAgent } from '../session-agent.ts';
import { commitAll, keyOf, PATIENCE_MS, seal, startTestAgent, until } from '../testing/agent-under-test.ts';
import { journalDirectory, openJournal } from '../testing/journal-under-test.ts';

const SERVE: CommitDurability = { mode: 'ack', onStoreDown: 'serve' };
const REFUSE: CommitDurability = { mode: 'ack', onStoreDown: 'refuse' };
/** How long a question is asked whose answer is "not known" for as long as one asks. */
const SHORT_MS = 500;

async function start(options: Parameters<typeof startTestAgent>[0] = {}, size = 1024 * 1024) {
  const { journal } = await openJournal(journalDirectory(), { size });
  return { ...(await startTestAgent({ journal, ...options })), journal };
}

async function ask(agent: SessionAgent, durability: CommitDurability, timeoutMs = PATIENCE_MS) {
  const [commit] = await agent.commit(['alice'], timeoutMs, { durability });
  return commit;
}

for (const fault of ['unreachable', 'lost', 'refused'] as const) {
  test(`what a store that is away (${fault}) cannot take is journaled, for whoever agreed to that`, async () => {
    const { agent, source, store, journal } = await start();
    source.write('alice', 'one pear');
    await commitAll(agent, 'alice');
    store.fault = () => fault;
    source.write('alice', 'two pears');
    assert.equal((await ask(agent, REFUSE, SHORT_MS))?.outcome, 'unknown');
    const commit = await ask(agent, SERVE);
    assert.equal(commit?.outcome, 'journaled');
    assert.equal(agent.owned.dirty.size, 1, 'it is committed yet');
    const entry = await journal.read(keyOf('alice'));
    assert.ok(entry?.kind === 'snapshot');
    assert.equal(Buffer.from((await seal.open(keyOf('alice'), entry)).data).toString(), 'two pears');
  });
}

test('when the store is back, what was journaled is committed, and the journal is empty', async () => {
  const { agent, source, store, journal, stored } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  assert.equal(journal.counts.snapshot, 1);
  store.fault = () => 'none';
  await until(() => agent.owned.dirty.size === 0);
  assert.equal(await stored('alice'), 'one pear');
  assert.equal(journal.counts.snapshot, 0);
  assert.deepEqual(await ask(agent, SERVE), { outcome: 'committed', epoch: 1, seq: 1 });
});

test('a session that is journaled and has not changed since is answered without another write', async () => {
  const { agent, source, store, journal } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  const { bytes } = journal;
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  assert.equal(journal.bytes, bytes);
  source.write('alice', 'two pears');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  assert.ok(journal.bytes > bytes);
});

test('those who wait when the store goes away are journaled, without asking again', async () => {
  const { agent, source, store } = await start();
  const gate = Promise.withResolvers<void>();
  source.onCapture = () => gate.promise;
  const commits = ['alice', 'bob', 'carol', 'dora', 'eve', 'fay'].map((id) => {
    source.write(id, `cart of ${id}`);
    return agent.commit([id], PATIENCE_MS, { durability: SERVE });
  });
  store.fault = () => 'lost';
  gate.resolve();
  const outcomes = (await Promise.all(commits)).map(([commit]) => commit?.outcome);
  assert.deepEqual(new Set(outcomes), new Set(['journaled']));
});

test('who asks for replicas is not content with a journal', async () => {
  const { agent, source, store } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  const replica = { mode: 'replica', replicas: 1, onStoreDown: 'serve' } as const;
  assert.equal((await ask(agent, replica, SHORT_MS))?.outcome, 'unknown');
});

test('without room in the journal the answer is unknown, and says why', async () => {
  const { agent, source, store, journal } = await start({}, 100);
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.deepEqual(await ask(agent, SERVE, SHORT_MS), { outcome: 'unknown', code: 'JOURNAL_FULL' });
  assert.ok(journal.failures > 0);
  store.fault = () => 'none';
  assert.equal((await ask(agent, SERVE))?.outcome, 'committed');
});

test('journaled bytes are committed although the app is gone', async () => {
  const { agent, source, store, stored } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  source.sessions.clear();
  source.failure = new StickshiftError('SOURCE_FAILED', 'the app was killed');
  store.fault = () => 'none';
  await until(async () => (await stored('alice')) === 'one pear');
});

test('an agent that stops while the store is away leaves what is dirty in its journal', async () => {
  const { agent, source, store, journal } = await start();
  store.fault = () => 'unreachable';
  for (const id of ['alice', 'bob']) source.write(id, `cart of ${id}`);
  assert.equal(await agent.stop(PATIENCE_MS), 0, 'nothing is unsaved');
  assert.equal(journal.counts.snapshot, 2);
});

test('a change that died with the app is not acknowledged by the journal', async () => {
  const { agent, source, store } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  source.write('alice', 'two pears');
  source.failure = new StickshiftError('SOURCE_FAILED', 'the app was killed');
  assert.equal((await ask(agent, SERVE, SHORT_MS))?.outcome, 'unknown');
});

test('a session that was taken over before the store was back is counted and reported as lost', async () => {
  const { agent, source, store, journal, warnings } = await start();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  source.write('alice', 'two pears');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  const record = store.records.get(keyOf('alice')) ?? assert.fail();
  record.owner = 'app-2';
  record.epoch++;
  store.fault = () => 'none';
  await until(() => source.forgotten.includes('alice'));
  assert.equal(agent.counters.lostAtTakeover, 1);
  assert.equal(journal.counts.snapshot, 0);
  assert.ok(warnings.some(({ msg }) => /lost: another backend took/.test(msg)));
});

test('a logout takes the journaled changes with it, and is journaled itself', async () => {
  const { agent, source, store, journal } = await start();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'journaled');
  await assert.rejects(source.logout('alice'));
  await until(() => journal.counts.logout === 1);
  assert.equal(journal.counts.snapshot, 0);
  store.fault = () => 'none';
  await until(() => store.records.get(keyOf('alice'))?.state === 'ended');
  await until(() => journal.counts.logout === 0 && journal.counts.tombstone === 1);
  assert.equal(agent.counters.lostAtTakeover, 0);
});

test('a session that expires while it is being journaled leaves nothing in the journal', async () => {
  const { agent, source, store, journal } = await start();
  store.fault = () => 'unreachable';
  const { append } = journal;
  journal.append = (entry) => {
    const appended = append.call(journal, entry);
    source.sessions.delete('alice');
    void source.listener.ended('alice', 'expired');
    return appended;
  };
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'not-held');
  await until(() => journal.outstanding().length === 0);
  await journal.close();
  assert.deepEqual(journal.outstanding(), []);
});

test('a session that expires before it is journaled is not', async () => {
  const { agent, source, store, journal } = await start();
  store.fault = () => 'unreachable';
  source.onCapture = (id) => {
    if (agent.store === 'unreachable') void source.listener.ended(id, 'expired');
  };
  source.write('alice', 'one pear');
  assert.equal((await ask(agent, SERVE))?.outcome, 'not-held');
  await journal.close();
  assert.deepEqual(journal.outstanding(), []);
});
