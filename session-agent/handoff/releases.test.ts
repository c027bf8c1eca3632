import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { appIsAway } from '../testing/memory-source.ts';

test('a released session is complete in the store and gone from the app', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  assert.deepEqual(await agent.release('alice'), { outcome: 'released', epoch: 1, seq: 1 });
  assert.equal(store.records.get(keyOf('alice'))?.state, 'released');
  assert.equal(source.text('alice'), undefined);
  assert.equal(agent.owned.size, 0);
  assert.equal(await stored('alice'), 'one pear');
});

test('the last changes go with the release', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.sessions.set('alice', { data: Buffer.from('two pears'), idleAt: Date.now() + 60_000 });
  assert.deepEqual(await agent.release('alice'), { outcome: 'released', epoch: 1, seq: 2 });
  assert.equal(await stored('alice'), 'two pears');
  assert.equal(store.sent.length, 1, 'one store step, not a commit and a release');
});

test('a session that was never committed is committed and released', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  assert.deepEqual(await agent.release('alice'), { outcome: 'released', epoch: 1, seq: 1 });
  assert.equal(await stored('alice'), 'one pear');
});

test('a session that is not here is not held', async () => {
  const { agent } = await startTestAgent();
  assert.deepEqual(await agent.release('alice'), { outcome: 'not-held' });
});

test('a session that was taken over is forgotten, not released', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  assert.deepEqual(await agent.release('alice'), { outcome: 'not-held' });
  assert.deepEqual(source.forgotten, ['alice']);
  assert.equal(store.records.get(keyOf('alice'))?.owner, 'app-2');
});

test('while the store is away the session stays, and can be released later', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  assert.equal(source.text('alice'), 'one pear');
  store.fault = () => 'none';
  assert.equal((await agent.release('alice')).outcome, 'released');
});

test('a release whose answer was lost can be repeated', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  let lost = 0;
  store.fault = (operation) => (operation === 'release' && lost++ < 1 ? 'lost-applied' : 'none');
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'STORE_TIMEOUT' });
  assert.equal((await agent.release('alice')).outcome, 'released');
  assert.equal(await stored('alice'), 'one pear');
});

for (const fault of ['lost', 'lost-applied', 'lost-late'] as const) {
  test(`after a release that was ${fault}, the session is not said to be here before it certainly is`, async () => {
    const { agent, source, store } = await startTestAgent();
    const other = await startTestAgent({ store, backend: 'app-2' });
    source.write('alice', 'one pear');
    await commitAll(agent, 'alice');
    store.fault = (operation) => (operation === 'release' ? fault : 'none');
    assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'STORE_TIMEOUT' });
    store.fault = () => 'unreachable';
    assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'unknown', code: 'STORE_UNREACHABLE' });
    store.fault = () => 'none';
    assert.equal((await agent.adopt('alice', 1)).outcome, 'found');
    store.deliverLate();
    const record = store.records.get(keyOf('alice'));
    assert.deepEqual([record?.state, record?.owner, record?.epoch], ['active', 'app-1', 2]);
    source.write('alice', 'two pears');
    await commitAll(agent, 'alice');
    assert.equal((await other.agent.adopt('alice', 2)).outcome, 'found');
    assert.equal(other.source.text('alice'), 'two pears');
    await until(() => source.text('alice') === undefined);
  });
}

test('a session that was adopted elsewhere after its release was lost is forgotten when somebody asks', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = (operation) => (operation === 'release' ? 'lost-applied' : 'none');
  await agent.release('alice');
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  assert.equal(source.text('alice'), 'one pear', 'nobody tells of what was released');
  assert.deepEqual(await agent.adopt('alice', 1), { outcome: 'moved', owner: 'app-2', epoch: 2 });
  assert.equal(source.text('alice'), undefined);
});

test('a session whose record the store lost is written anew before it is given up', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.records.clear();
  assert.equal((await agent.release('alice')).outcome, 'released');
  assert.equal(await stored('alice'), 'one pear');
});

test('a session that cannot be saved stays', async () => {
  const { agent, source } = await startTestAgent({ limits: { session: 10 } });
  source.write('alice', 'far too large for that');
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
  assert.equal(source.text('alice'), 'far too large for that');
});

test('while the app is away the session stays', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.failure = appIsAway();
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'SOURCE_FAILED' });
  assert.equal(agent.owned.size, 1);
});

test('a change after the final capture is not acknowledged', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.onCapture = () => {
    source.onCapture = () => undefined;
    source.write('alice', 'two pears');
  };
  const release = agent.release('alice');
  assert.equal((await release).outcome, 'released');
  assert.equal(await stored('alice'), 'one pear');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
});

test('idle sessions are released up to the limit, busy ones stay', async () => {
  const { agent, source } = await startTestAgent();
  const ids = Array.from({ length: 10 }, (_, number) => `session-${number}`);
  for (const id of ids) source.write(id, 'cart');
  await commitAll(agent, ...ids);
  const busy = new Set(['session-0', 'session-7']);
  assert.deepEqual(await agent.releaseIdle(busy, 6), { released: 6, remaining: 4, unprotected: 0 });
  assert.deepEqual(await agent.releaseIdle(busy, 6), { released: 2, remaining: 2, unprotected: 0 });
  assert.deepEqual([...agent.owned.values()].map(({ id }) => id).sort(), ['session-0', 'session-7']);
});

test('sessions that cannot be saved remain, and are counted', async () => {
  const { agent, source } = await startTestAgent({ limits: { session: 10 } });
  source.write('large', 'far too large for that');
  source.write('small', 'cart');
  await commitAll(agent, 'small');
  await agent.commit(['large'], PATIENCE_MS);
  assert.deepEqual(await agent.releaseIdle(new Set(), 10), { released: 1, remaining: 1, unprotected: 1 });
});

test('sessions beyond the limit remain as well', async () => {
  const { agent, source } = await startTestAgent({ limits: { sessions: 1 } });
  source.write('first', 'cart');
  source.write('second', 'cart');
  await commitAll(agent, 'first');
  assert.deepEqual(await agent.releaseIdle(new Set(), 10), { released: 1, remaining: 1, unprotected: 1 });
});

test('an agent that does not know what the app holds does not say that nothing is left', async () => {
  const { agent, source } = await startTestAgent({ attached: false });
  await assert.rejects(agent.releaseIdle(new Set(), 10), { code: 'SOURCE_FAILED' });
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.deepEqual(await agent.releaseIdle(new Set(), 10), { released: 0, remaining: 0, unprotected: 0 });
});

test('nor does it say of a session that it has nothing of it', async () => {
  const { agent, source } = await startTestAgent({ attached: false });
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'SOURCE_FAILED' });
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.deepEqual(await agent.release('alice'), { outcome: 'not-held' });
});

test('an answer that was begun before the release is not acknowledged after it', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await agent.release('alice');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
});
