import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';

function refused(code: string) {
  return (error: unknown) => error instanceof StickshiftError && error.code === code;
}

test('a logout leaves a tombstone before the app hears that it is done', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await source.logout('alice');
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'ended' }]);
  assert.equal(agent.owned.size, 0);
});

test('the tombstone outlives the session, and stands for its least time', async () => {
  const { agent, source, store } = await startTestAgent({ lifetime: { tombstone: 7_200_000 } });
  const until = (id: string) => store.records.get(keyOf(id))?.deadlines.idleAt ?? 0;
  const inThreeHours = Date.now() + 3 * 3_600_000;
  source.write('long', 'cart', inThreeHours);
  source.write('short', 'cart', Date.now() + 60_000);
  await commitAll(agent, 'long', 'short');
  await Promise.all([source.logout('long'), source.logout('short')]);
  assert.ok(until('long') >= inThreeHours);
  assert.ok(until('short') >= Date.now() + 7_200_000 - PATIENCE_MS);
});

test('a session that was never committed gets its tombstone too', async () => {
  const { source, store } = await startTestAgent();
  await source.logout('alice');
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
});

test('a logout that the store cannot take in time is refused, and done later', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  await assert.rejects(source.logout('alice'), refused('STORE_UNREACHABLE'));
  assert.deepEqual(await agent.commit(['alice'], 20), [{ outcome: 'unknown', code: 'STORE_UNREACHABLE' }]);
  store.fault = () => 'none';
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'ended' }]);
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
});

test('nothing brings a session back while its tombstone is still due', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  const logout = assert.rejects(source.logout('alice'));
  source.write('alice', 'saved by a request beside the logout');
  assert.equal(await source.listener.missed('alice'), undefined);
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'ended' });
  assert.equal((await agent.release('alice')).outcome, 'unknown');
  await logout;
  store.fault = () => 'none';
  await until(() => store.records.get(keyOf('alice'))?.state === 'ended');
  await until(() => source.text('alice') === undefined);
});

test('a write after the logout is refused and forgotten', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await source.logout('alice');
  source.write('alice', 'late');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'late' }]);
  await until(() => source.text('alice') === undefined);
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
});

test('a response that waits for its commit hears of the logout', async () => {
  const { agent, source, store } = await startTestAgent();
  store.fault = (operation) => (operation === 'commit' ? 'unreachable' : 'none');
  source.write('alice', 'cart');
  const commit = agent.commit(['alice'], PATIENCE_MS);
  await new Promise(setImmediate);
  await source.logout('alice');
  assert.deepEqual(await commit, [{ outcome: 'ended' }]);
});

test('a logout where the session does not live is refused', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  await assert.rejects(source.logout('alice'), refused('COMMIT_FENCED'));
  assert.equal(store.records.get(keyOf('alice'))?.state, 'active');
});

test('a lost answer to a logout is asked for again', async () => {
  const { source, store } = await startTestAgent();
  let lost = 0;
  store.fault = () => (lost++ < 1 ? 'lost-applied' : 'none');
  await source.logout('alice');
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
});

test('a tombstone that the store refuses is tried again', async () => {
  const { source, store } = await startTestAgent({ logoutWaitMs: PATIENCE_MS });
  let refusals = 0;
  store.fault = () => (refusals++ < 2 ? 'refused' : 'none');
  await source.logout('alice');
  assert.equal(store.records.get(keyOf('alice'))?.state, 'ended');
});
