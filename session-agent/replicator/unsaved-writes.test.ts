import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';

const REFUSE = { mode: 'ack', onStoreDown: 'refuse' } as const;
const SERVE = { mode: 'ack', onStoreDown: 'serve' } as const;

test('a session whose awaited change cannot be saved is recalled, and not said to be here before it is', async () => {
  const { agent, source, store } = await startTestAgent();
  for (const id of ['alice', 'bob']) source.write(id, 'one pear');
  await commitAll(agent, 'alice', 'bob');
  await using gateway = await LeaseHolder.start('one', (request) => agent.leases.call(request));
  store.fault = () => 'unreachable';
  source.write('alice', 'two pears');
  assert.partialDeepStrictEqual(await agent.commit(['alice'], 50, { durability: REFUSE }), [
    { outcome: 'unknown' },
  ]);
  await until(() => gateway.recalled.includes('alice'));
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'COMMIT_UNKNOWN' });
  assert.equal((await agent.adopt('bob', 1)).outcome, 'found', 'nothing of it is in doubt');
  store.fault = () => 'none';
  await until(async () => (await agent.adopt('alice', 1)).outcome === 'found');
  assert.deepEqual(gateway.recalled, ['alice']);
});

test('a change that the journal has, or that nobody waits for, keeps nobody from the session', async () => {
  const { journal } = await openJournal(journalDirectory());
  const { agent, source, store } = await startTestAgent({ journal });
  for (const id of ['alice', 'bob']) source.write(id, 'one pear');
  await commitAll(agent, 'alice', 'bob');
  await using gateway = await LeaseHolder.start('one', (request) => agent.leases.call(request));
  store.fault = () => 'unreachable';
  for (const id of ['alice', 'bob']) source.write(id, 'two pears');
  assert.partialDeepStrictEqual(await agent.commit(['alice'], PATIENCE_MS, { durability: SERVE }), [
    { outcome: 'journaled' },
  ]);
  for (const id of ['alice', 'bob']) assert.equal((await agent.adopt(id, 1)).outcome, 'found');
  assert.deepEqual(gateway.recalled, []);
});

test('a change that waits for the store stands in the way also when another one was journaled before it', async () => {
  const { journal } = await openJournal(journalDirectory());
  const { agent, source, store } = await startTestAgent({ journal });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  source.write('alice', 'two pears');
  await agent.commit(['alice'], PATIENCE_MS, { durability: SERVE });
  source.write('alice', 'three pears');
  await agent.commit(['alice'], 20, { durability: REFUSE });
  assert.equal((await agent.adopt('alice', 1)).outcome, 'unknown');
  await agent.commit(['alice'], PATIENCE_MS, { durability: SERVE });
  assert.equal((await agent.adopt('alice', 1)).outcome, 'found', 'the journal has it by now');
});
