import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { MemorySource } from '../testing/memory-source.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** How long a question is asked whose answer is "not known" for as long as one asks. */
const SHORT_MS = 30;

for (const [what, former] of [
  ['new', undefined],
  ['known', 'no pear'],
] as const) {
  test(`a change of a ${what} session that dies with the app before it is captured is not acknowledged`, async () => {
    const { agent, source } = await startTestAgent();
    if (former !== undefined) {
      source.write('alice', former);
      await commitAll(agent, 'alice');
    }
    source.write('alice', 'one pear');
    source.sessions.delete('alice');
    const [commit] = await agent.commit(['alice'], PATIENCE_MS);
    assert.deepEqual(commit, { outcome: 'unknown', code: 'SOURCE_FAILED' });
  });

  test(`a change of a ${what} session outlives the app once it is captured`, async () => {
    const { agent, source, store, stored } = await startTestAgent();
    if (former !== undefined) {
      source.write('alice', former);
      await commitAll(agent, 'alice');
    }
    store.fault = () => {
      // The app dies while the store fails for a moment.
      source.sessions.delete('alice');
      store.fault = () => 'none';
      return 'unreachable';
    };
    source.write('alice', 'one pear');
    const [commit] = await agent.commit(['alice'], PATIENCE_MS);
    assert.equal(commit?.outcome, 'committed');
    assert.equal(await stored('alice'), 'one pear');
    assert.equal(agent.owned.get('alice')?.inApp, false);
  });

  test(`what a ${what} session became after its last capture is not acknowledged by that`, async () => {
    const { agent, source, store, stored } = await startTestAgent();
    if (former !== undefined) {
      source.write('alice', former);
      await commitAll(agent, 'alice');
    }
    store.fault = () => {
      source.write('alice', 'two pears');
      source.sessions.delete('alice');
      store.fault = () => 'none';
      return 'unreachable';
    };
    source.write('alice', 'one pear');
    const first = agent.commit(['alice'], PATIENCE_MS);
    await until(() => source.sessions.size === 0);
    const second = agent.commit(['alice'], PATIENCE_MS);
    assert.equal((await first)[0]?.outcome, 'committed');
    assert.equal((await second)[0]?.outcome, 'unknown');
    assert.equal(await stored('alice'), 'one pear');
  });
}

test('a session that has expired in the app holds no answer back', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear', Date.now() - 1);
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'not-held' }]);
});

test('an agent that cannot hear the app does not vouch for what it knows', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.listener.detached('the link broke');
  assert.equal((await agent.commit(['alice'], SHORT_MS))[0]?.outcome, 'unknown');

  // The app goes on, and says so when it can be heard again.
  source.sessions.set('alice', { data: Buffer.from('two pears'), idleAt: Date.now() + 60_000 });
  const commit = agent.commit(['alice'], PATIENCE_MS);
  source.listener.attached();
  assert.equal((await commit)[0]?.outcome, 'committed');
  assert.equal(await stored('alice'), 'two pears');
});

test('what an app did unheard before it died is not acknowledged by what its successor was given', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.listener.detached('the link broke');
  const commit = agent.commit(['alice', 'nobody'], PATIENCE_MS);
  source.sessions.clear();
  source.listener.attached();
  await source.listener.missed('alice');
  const outcomes = (await commit).map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, ['unknown', 'unknown']);
});

test('an agent that was started since the request vouches only for what the app itself has told it', async () => {
  const store = new MemoryStore();
  const source = new MemorySource();
  const before = await startTestAgent({ store, source });
  for (const id of ['kept', 'lost']) source.write(id, 'one pear');
  await commitAll(before.agent, 'kept', 'lost');

  source.sessions.delete('lost');
  const { agent } = await startTestAgent({ store, source });
  await agent.adopt('lost', 1);
  assert.equal(source.text('lost'), 'one pear', 'a request after the restart brought it back');
  const asked = (since: 'this-life' | 'earlier') =>
    agent
      .commit(['kept', 'lost', 'nobody'], PATIENCE_MS, { since })
      .then((all) => all.map(({ outcome }) => outcome));
  assert.deepEqual(await asked('earlier'), ['committed', 'unknown', 'unknown']);
  assert.deepEqual(await asked('this-life'), ['committed', 'committed', 'not-held']);
});

test('a change that an adopted snapshot has overwritten is not acknowledged', async () => {
  const { agent, source, store } = await startTestAgent({
    times: { base: 60_000, cap: 60_000, hurried: 60_000 },
  });
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  let refused = false;
  store.fault = (operation) => {
    if (operation !== 'commit' || refused) return 'none';
    refused = true;
    return 'refused';
  };
  source.write('alice', 'two pears');
  const commit = agent.commit(['alice'], PATIENCE_MS);
  await until(() => refused);
  // Away and back again, by way of gateways that found this server down for a moment, and before the store has told of it.
  store.cutWatches();
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  assert.equal((await agent.adopt('alice', 2)).outcome, 'found');
  assert.equal(source.text('alice'), 'one pear');
  assert.equal((await commit)[0]?.outcome, 'unknown');
});
