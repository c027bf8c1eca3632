import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';

function refused(code: string) {
  return (error: unknown) => error instanceof StickshiftError && error.code === code;
}

async function agentWhoseAppRestarted() {
  const test = await startTestAgent();
  test.source.write('alice', 'one pear');
  await commitAll(test.agent, 'alice');
  test.source.sessions.clear();
  return test;
}

test('an app that lost its memory gets its session back, one epoch later', async () => {
  const { agent, source, store } = await agentWhoseAppRestarted();
  const session = await source.listener.missed('alice');
  assert.equal(session && Buffer.from(session.data).toString(), 'one pear');
  assert.equal(store.records.get(keyOf('alice'))?.epoch, 2);

  source.write('alice', 'two pears');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed', epoch: 2, seq: 2 }]);
});

test('a released session is taken, whoever had it last', async () => {
  const { agent, source, store } = await agentWhoseAppRestarted();
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  await store.release(keyOf('alice'), { owner: 'app-2', epoch: 2 });
  const session = await source.listener.missed('alice');
  assert.equal(session && Buffer.from(session.data).toString(), 'one pear');
  assert.equal(agent.owned.get('alice')?.epoch, 3);
});

test('a session without a record is not there', async () => {
  const { source } = await startTestAgent();
  assert.equal(await source.listener.missed('alice'), undefined);
});

test('a session that was logged out is not there', async () => {
  const { source, store } = await startTestAgent();
  await store.end(keyOf('alice'), { owner: 'app-2', epoch: 0, until: Date.now() + 60_000 });
  assert.equal(await source.listener.missed('alice'), undefined);
});

test('a session that lives elsewhere is never reported missing', async () => {
  const { source, store } = await agentWhoseAppRestarted();
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  await assert.rejects(source.listener.missed('alice'), refused('SESSION_MOVING'));
  assert.equal(store.records.get(keyOf('alice'))?.owner, 'app-2');
});

test('gateways are told that a session lives elsewhere', async () => {
  const { agent, source, store } = await agentWhoseAppRestarted();
  const gateway = await LeaseHolder.start('one', (request) => agent.leases.call(request));
  await using _ = gateway;
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  await assert.rejects(source.listener.missed('alice'), refused('SESSION_MOVING'));
  await until(() => gateway.recalled.includes('alice'));
});

test('while the store is away a session is never reported missing', async () => {
  const { source, store } = await agentWhoseAppRestarted();
  store.fault = () => 'unreachable';
  await assert.rejects(source.listener.missed('alice'), refused('STORE_UNREACHABLE'));
});

test('a session that cannot be read is never reported missing', async () => {
  const { source, store } = await agentWhoseAppRestarted();
  const record = store.records.get(keyOf('alice')) ?? assert.fail('there is no record');
  record.snapshot = new Uint8Array(100);
  await assert.rejects(source.listener.missed('alice'), refused('SNAPSHOT_CORRUPT'));
});
