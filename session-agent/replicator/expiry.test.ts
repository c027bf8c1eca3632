import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, startTestAgent, until } from '../testing/agent-under-test.ts';

test('a session that the app says has expired is dropped without a tombstone', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await source.listener.ended('alice', 'expired');
  assert.equal(agent.owned.size, 0);
  assert.equal(store.records.get(keyOf('alice'))?.state, 'active');
});

test('the absolute deadline is set when the session begins and stays', async () => {
  const { agent, source, store } = await startTestAgent({ lifetime: { absolute: 60_000 } });
  const deadline = () => store.records.get(keyOf('alice'))?.deadlines.absoluteAt;
  const before = Date.now();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  const first = deadline() ?? assert.fail('there is none');
  assert.ok(first >= before + 60_000 && first <= Date.now() + 60_000);
  source.write('alice', 'two pears');
  await commitAll(agent, 'alice');
  assert.equal(deadline(), first);
});

test('a sweep lets expired sessions go and takes them out of an app that keeps them', async () => {
  const { agent, source } = await startTestAgent({ lifetime: { absolute: 60_000 } });
  source.write('alice', 'cart');
  source.write('bob', 'cart');
  await commitAll(agent, 'alice', 'bob');
  const alice = agent.owned.get('alice') ?? assert.fail('it is not owned');
  alice.absoluteAt = Date.now() - 1;
  await agent.expiry.sweep();
  assert.deepEqual(
    [...agent.owned.values()].map(({ id }) => id),
    ['bob'],
  );
  assert.deepEqual(source.forgotten, ['alice']);
});

test('a sweep keeps a session that the app has used since', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  const alice = agent.owned.get('alice') ?? assert.fail('it is not owned');
  alice.idleAt = Date.now() - 1;
  await agent.expiry.sweep();
  assert.equal(agent.owned.size, 1);
  assert.ok(alice.idleAt > Date.now());
});

test('a sweep writes an idle deadline before the store would let the session go', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  const alice = agent.owned.get('alice') ?? assert.fail('it is not owned');
  const record = store.records.get(keyOf('alice')) ?? assert.fail('there is no record');
  record.deadlines = { idleAt: Date.now() + 20_000, absoluteAt: undefined };
  alice.storedIdleAt = record.deadlines.idleAt;
  await agent.expiry.sweep();
  await until(() => store.records.get(keyOf('alice'))?.deadlines.idleAt === alice.idleAt);
});
