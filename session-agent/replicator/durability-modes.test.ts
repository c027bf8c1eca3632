import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommitDurability, SessionCommit } from '../../protocol/agent-api.ts';
import type { SessionAgent } from '../session-agent.ts';
import type { SessionSource } from '../sources/session-source.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { MemorySource } from '../testing/memory-source.ts';

const ASYNC: CommitDurability = { mode: 'async', onStoreDown: 'serve' };
const REPLICA: CommitDurability = { mode: 'replica', replicas: 1, onStoreDown: 'refuse' };
/** How long a question is asked whose answer is "not known" for as long as one asks. */
const SHORT_MS = 50;

async function ask(agent: SessionAgent, durability: CommitDurability, timeoutMs = PATIENCE_MS) {
  const [commit] = await agent.commit(['alice'], timeoutMs, { durability });
  return commit as SessionCommit;
}

test('in async a change is accepted once it is noted, and committed soon', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  source.write('alice', 'two pears');
  assert.deepEqual(await ask(agent, ASYNC), { outcome: 'accepted', epoch: 1, seq: 1 });
  store.fault = () => 'none';
  await until(async () => (await stored('alice')) === 'two pears');
  assert.equal((await ask(agent, ASYNC)).outcome, 'committed');
});

test('in async a logout waits for its tombstone all the same', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  await assert.rejects(source.logout('alice'));
  assert.equal((await ask(agent, ASYNC, SHORT_MS)).outcome, 'unknown');
  store.fault = () => 'none';
  assert.equal((await ask(agent, ASYNC)).outcome, 'ended');
});

test('in async a session that was found to be somebody else’s is fenced', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  source.write('alice', 'two pears');
  assert.equal((await ask(agent, ASYNC)).outcome, 'accepted');
  await until(() => agent.owned.size === 0);
  assert.equal((await ask(agent, ASYNC)).outcome, 'fenced');
});

test('only who asks for replicas makes a commit wait for them, and one such commit covers all before it', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.write('alice', 'two pears');
  await commitAll(agent, 'alice');
  assert.ok(store.sent.every(({ replicas }) => replicas === undefined));

  source.write('alice', 'three pears');
  assert.equal((await ask(agent, REPLICA)).outcome, 'committed');
  assert.equal(store.sent.at(-1)?.replicas, 1);
  const sent = store.sent.length;
  assert.equal((await ask(agent, REPLICA)).outcome, 'committed');
  assert.equal(store.sent.length, sent, 'what replicas have is not sent again');
  source.write('alice', 'four pears');
  assert.equal((await ask(agent, REPLICA)).outcome, 'committed');
  assert.equal(store.sent.length, sent + 1, 'and from now on one commit for each change will do');
});

test('an unchanged session that only the store has is sent to its replicas when somebody asks for that', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  assert.deepEqual(await ask(agent, REPLICA), { outcome: 'committed', epoch: 1, seq: 2 });
  assert.equal(store.sent.at(-1)?.replicas, 1);
  const two = { ...REPLICA, replicas: 2 };
  store.replicas = 2;
  assert.deepEqual(await ask(agent, two), { outcome: 'committed', epoch: 1, seq: 3 });
});

test('too few replicas: unknown for those who asked for them, committed for the others, and the store counts as there', async () => {
  const { agent, source, store } = await startTestAgent();
  store.replicas = 0;
  source.write('alice', 'one pear');
  const asked = ask(agent, REPLICA, 200);
  assert.equal((await ask(agent, { mode: 'ack', onStoreDown: 'refuse' })).outcome, 'committed');
  assert.deepEqual(await asked, { outcome: 'unknown', code: 'STORE_NOT_REPLICATED' });
  assert.equal(agent.store, 'ok');
  assert.equal(agent.owned.dirty.size, 0);

  const again = ask(agent, REPLICA);
  store.replicas = 1;
  assert.equal((await again).outcome, 'committed');
});

/** The same app, behind a source that learns of changes late. */
class LateSource extends MemorySource {
  override readonly kind = 'files' as unknown as 'express';
}

test('a source that learns late: a commit tells when no change was seen since the last', async () => {
  const source: SessionSource & MemorySource = new LateSource();
  const { agent } = await startTestAgent({ source });
  const ack: CommitDurability = { mode: 'ack', onStoreDown: 'refuse' };
  source.write('alice', 'one pear');
  assert.deepEqual(await ask(agent, ack), { outcome: 'committed', epoch: 1, seq: 1 });
  assert.deepEqual(await ask(agent, ack), { outcome: 'committed', epoch: 1, seq: 1, unchanged: true });
  source.write('alice', 'two pears');
  assert.deepEqual(await ask(agent, ack), { outcome: 'committed', epoch: 1, seq: 2 });
});
