import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { appIsAway, MemorySource } from '../testing/memory-source.ts';
import { MemoryStore } from '../testing/memory-store.ts';

/** An agent that crashed; its app and the store are still there. */
async function afterCrash(...ids: string[]) {
  const store = new MemoryStore();
  const source = new MemorySource();
  const before = await startTestAgent({ store, source });
  for (const id of ids) source.write(id, `cart of ${id}`);
  await commitAll(before.agent, ...ids);
  return { store, source };
}

test('an agent is not ready before its app is there', async () => {
  const { agent, source } = await startTestAgent({ attached: false });
  assert.match(agent.notReady ?? '', /waiting for the app/);
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  source.listener.detached('connection lost');
  assert.match(agent.notReady ?? '', /connection lost/);
});

test('a restarted agent keeps what is its own and saves what changed meanwhile', async () => {
  const { store, source } = await afterCrash('alice');
  source.sessions.set('alice', { data: Buffer.from('changed meanwhile'), idleAt: Date.now() + 60_000 });
  const { agent, stored } = await startTestAgent({ store, source });
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed', epoch: 2, seq: 2 }]);
  assert.equal(await stored('alice'), 'changed meanwhile');
});

test('a damaged record does not keep a restarted agent from being ready', async () => {
  const { store, source } = await afterCrash('alice', 'bob');
  const { lookup, read, commit } = store;
  const assertWhole = (key: string) => {
    if (key === keyOf('alice')) throw new StickshiftError('STORE_INVALID', 'a field is missing');
  };
  store.lookup = async (key) => {
    assertWhole(key);
    return lookup.call(store, key);
  };
  store.read = async (key) => {
    assertWhole(key);
    return read.call(store, key);
  };
  store.commit = async (key, change) => {
    assertWhole(key);
    return commit.call(store, key, change);
  };
  const { agent } = await startTestAgent({ store, source });
  assert.equal(agent.notReady, undefined);
  assert.deepEqual(await agent.commit(['alice'], 500), [{ outcome: 'unknown', code: 'STORE_INVALID' }]);
  await commitAll(agent, 'bob');
});

test('a restarted agent fences the commits of its former self', async () => {
  const { store, source } = await afterCrash('alice');
  await startTestAgent({ store, source });
  const late = await store.commit(keyOf('alice'), {
    owner: 'app-1',
    epoch: 1,
    seq: 9,
    snapshot: new Uint8Array(),
    deadlines: { idleAt: Date.now() + 60_000, absoluteAt: undefined },
  });
  assert.equal(late.outcome, 'fenced');
});

test('a restarted agent forgets what moved on, was released or was logged out', async () => {
  const { store, source } = await afterCrash('moved', 'released', 'ended', 'mine');
  await store.adopt(keyOf('moved'), { owner: 'app-2', ifEpoch: 1 });
  await store.release(keyOf('released'), { owner: 'app-1', epoch: 1 });
  await store.end(keyOf('ended'), { owner: 'app-2', epoch: 0, until: 0 });
  await store.end(keyOf('ended'), { owner: 'app-1', epoch: 1, until: Date.now() + 60_000 });
  const { agent } = await startTestAgent({ store, source });
  assert.deepEqual([...source.sessions.keys()], ['mine']);
  assert.deepEqual(
    [...agent.owned.values()].map(({ id }) => id),
    ['mine'],
  );
});

test('sessions without a record are new, and are saved', async () => {
  const source = new MemorySource();
  source.sessions.set('alice', { data: Buffer.from('one pear'), idleAt: Date.now() + 60_000 });
  const { stored } = await startTestAgent({ source });
  await until(async () => (await stored('alice')) === 'one pear');
});

test('an agent becomes ready when the store does', async () => {
  const { store, source } = await afterCrash('alice');
  store.fault = () => 'unreachable';
  const { agent } = await startTestAgent({ store, source, attached: false });
  source.listener.attached();
  await until(() => agent.notReady?.includes('STORE_UNREACHABLE') ?? false);
  store.fault = () => 'none';
  await until(() => agent.notReady === undefined);
  assert.equal(agent.owned.get('alice')?.epoch, 2);
});

test('an agent becomes ready when the app answers', async () => {
  const source = new MemorySource();
  const { agent } = await startTestAgent({ source, attached: false });
  source.failure = appIsAway();
  source.listener.attached();
  await until(() => agent.notReady?.includes('SOURCE_FAILED') ?? false);
  source.failure = undefined;
  await until(() => agent.notReady === undefined);
});

test('a change before it is known whose the session is waits for that', async () => {
  const { store, source } = await afterCrash('alice');
  const { agent, stored } = await startTestAgent({ store, source, attached: false });
  source.write('alice', 'two pears');
  const commit = agent.commit(['alice'], PATIENCE_MS);
  source.listener.attached();
  assert.deepEqual(await commit, [{ outcome: 'committed', epoch: 2, seq: 2 }]);
  assert.equal(await stored('alice'), 'two pears');
});

test('a commit is unknown while nobody knows what the app holds', async () => {
  const { agent } = await startTestAgent({ attached: false });
  const [commit] = await agent.commit(['alice'], 20);
  assert.equal(commit?.outcome, 'unknown');
});

test('an app that restarted empty gets its sessions back when it asks', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.listener.detached('crashed');
  source.sessions.clear();
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal(agent.owned.get('alice')?.inApp, false);
  const session = await source.listener.missed('alice');
  assert.equal(session && Buffer.from(session.data).toString(), 'one pear');
  assert.equal(agent.owned.get('alice')?.inApp, true);
});

test('a session that the restarted app lost is installed again by an adopt', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.sessions.clear();
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal((await agent.adopt('alice', 1)).outcome, 'found');
  assert.equal(source.text('alice'), 'one pear');
});

test('an app that comes back forgets what was taken over meanwhile, changed or not', async () => {
  const { agent, source, store } = await startTestAgent();
  for (const id of ['moved', 'mine']) source.write(id, 'cart');
  await commitAll(agent, 'moved', 'mine');
  source.listener.detached('paused');
  await store.adopt(keyOf('moved'), { owner: 'app-2', ifEpoch: 1 });
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.deepEqual([...source.sessions.keys()], ['mine']);
});

test('an app that only reconnects is ready again although the store is away', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  store.fault = () => 'unreachable';
  source.listener.detached('connection lost');
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal(source.text('alice'), 'one pear');
});

test('a change that died with the app is not counted as exposed for ever', async () => {
  const { agent, source, store } = await startTestAgent();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  await until(() => agent.store === 'unreachable');
  source.listener.detached('crashed');
  source.sessions.clear();
  store.fault = () => 'none';
  source.listener.attached();
  await until(() => agent.notReady === undefined && agent.owned.dirty.size === 0);
  assert.equal(agent.owned.exposureMs(), 0);
});
