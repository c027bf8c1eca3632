import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { aboutToLogIn, NEVER, QUIET, SHORT_MS } from '../testing/login-under-test.ts';

test('an ID change is one step in the store, taken when the response has ended', async () => {
  const { source, store, state, outcomes, stored } = await aboutToLogIn();
  const operations: string[] = [];
  store.fault = (operation) => {
    operations.push(operation);
    return 'none';
  };
  const replaced = source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  assert.equal(state('old'), 'active');
  assert.equal(state('new'), undefined);
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.deepEqual(operations, ['replace']);
  assert.equal(state('old'), 'ended');
  assert.equal(await stored('new'), 'cart of Ann');
  await replaced;
});

test('a replaced session stays dead: nothing is adopted, found or committed under its ID', async () => {
  const { agent, source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  await outcomes('old', 'new');
  assert.deepEqual(await agent.adopt('old', 1), { outcome: 'ended' });
  assert.equal(await source.listener.missed('old'), undefined);
  source.write('old', 'by a request beside the login');
  assert.deepEqual(await outcomes('old'), ['late']);
  await until(() => source.text('old') === undefined);
  assert.equal(state('old'), 'ended');
});

for (const beside of ['before', 'after'] as const) {
  test(`a change under the old ID ${beside} its successor stands is refused, and does not hold the login back`, async () => {
    const { source, outcomes, stored } = await aboutToLogIn();
    void source.replace('old', 'new');
    source.write('new', 'cart of Ann');
    if (beside === 'before') source.write('old', 'late');
    const login = await outcomes('old', 'new');
    if (beside === 'after') source.write('old', 'late');
    assert.deepEqual(login, ['ended', 'committed']);
    assert.deepEqual(await outcomes('old'), ['late']);
    assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
    assert.equal(await stored('new'), 'cart of Ann');
  });
}

test('an app that dies before its login is answered leaves the old session as it was', async () => {
  const { agent, source, store, state, outcomes, stored } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  source.sessions.clear();
  source.listener.detached('killed');
  assert.deepEqual(
    (await agent.commit(['old', 'new'], SHORT_MS)).map(({ outcome }) => outcome),
    ['unknown', 'unknown'],
  );
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.equal(state('new'), undefined);
  assert.equal(await stored('old'), 'cart');
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  assert.equal(source.text('old'), 'cart');
  source.write('old', 'cart with tea');
  assert.deepEqual(await outcomes('old'), ['committed']);
  assert.deepEqual(
    store.sent.filter(({ key }) => key === keyOf('new')),
    [],
  );
});

test('another backend takes the old session over when the app died in the middle of its login', async () => {
  const one = await aboutToLogIn();
  void one.source.replace('old', 'new');
  one.source.write('new', 'cart of Ann');
  one.source.listener.detached('killed');
  const two = await startTestAgent({ store: one.store, backend: 'app-2' });
  assert.equal((await two.agent.adopt('old', 1)).outcome, 'found');
  assert.equal(two.source.text('old'), 'cart');
});

test('a login whose session was taken over meanwhile is fenced, and nothing of it stands', async () => {
  const { source, store, state, outcomes } = await aboutToLogIn();
  await store.adopt(keyOf('old'), { owner: 'app-2', ifEpoch: 1 });
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  assert.equal((await outcomes('old', 'new'))[1], 'fenced');
  assert.equal(state('old'), 'active');
  assert.equal(state('new'), undefined);
  await until(() => source.text('new') === undefined);
});

test('a request that outlives the move of its session elsewhere cannot log it in here', async () => {
  const { agent, source, store, state, outcomes } = await aboutToLogIn();
  await store.adopt(keyOf('old'), { owner: 'app-2', ifEpoch: 1 });
  source.write('old', 'cart with tea');
  assert.deepEqual(await outcomes('old'), ['fenced']);
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  assert.deepEqual(await outcomes('old', 'new'), ['fenced', 'fenced']);
  assert.deepEqual([state('old'), state('new')], ['active', undefined]);
  assert.equal(agent.owned.size, 0);
});

test('a request beside a login, which ends first, waits for it', async () => {
  const { agent, source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  assert.equal((await agent.commit(['old'], SHORT_MS))[0]?.outcome, 'unknown');
  assert.equal(state('old'), 'active', 'the login may yet be killed');
  const beside = outcomes('old');
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.deepEqual(await beside, ['ended']);
});

test('a login in a session that was logged out elsewhere does not bring it back', async () => {
  const { source, store, state, outcomes } = await aboutToLogIn();
  await store.end(keyOf('old'), { owner: 'app-1', epoch: 1, until: Date.now() + NEVER });
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  assert.equal((await outcomes('old', 'new'))[1], 'late');
  assert.equal(state('new'), undefined);
  await until(() => source.text('new') === undefined);
});

test('an app that only lost its link for a moment goes on with its login', async () => {
  const { agent, source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  source.listener.detached('the link broke');
  // As the app link has it: first what is under way, then what the app holds.
  void source.listener.replaced('old', 'new');
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.equal(state('old'), 'ended');
});

test('an agent that was restarted in the middle of a login retires the old ID all the same', async () => {
  const before = await aboutToLogIn();
  void before.source.replace('old', 'new');
  before.source.write('new', 'cart of Ann');
  const { agent, source } = await startTestAgent({
    store: before.store,
    source: before.source,
    attached: false,
    idChangeTimes: { replacementTimes: QUIET },
  });
  void source.listener.replaced('old', 'new');
  source.listener.attached();
  const login = await agent.commit(['old', 'new'], PATIENCE_MS, { since: 'earlier' });
  assert.deepEqual(
    login.map(({ outcome }) => outcome),
    ['ended', 'committed'],
  );
  assert.equal(before.state('old'), 'ended');
});

test('a change of ID that an agent is told of again long after does no harm to the session', async () => {
  const before = await aboutToLogIn();
  void before.source.replace('old', 'new');
  before.source.write('new', 'cart of Ann');
  await before.outcomes('old', 'new');
  const { agent, source, stored } = await startTestAgent({
    store: before.store,
    source: before.source,
    attached: false,
    idChangeTimes: { replacementTimes: QUIET },
  });
  const said = source.listener.replaced('old', 'new');
  source.listener.attached();
  await until(() => agent.notReady === undefined);
  source.write('new', 'cart of Ann with tea');
  assert.equal((await agent.commit(['new'], PATIENCE_MS))[0]?.outcome, 'committed');
  await said;
  assert.equal(await stored('new'), 'cart of Ann with tea');
});

test('in every mode a login waits for both IDs', async () => {
  for (const durability of [
    { mode: 'async', onStoreDown: 'serve' },
    { mode: 'replica', replicas: 1, onStoreDown: 'refuse' },
  ] as const) {
    const { agent, source, store, state } = await aboutToLogIn();
    void source.replace('old', 'new');
    source.write('new', 'cart of Ann');
    const login = await agent.commit(['old', 'new'], PATIENCE_MS, { durability });
    assert.equal(login[0]?.outcome, 'ended');
    assert.match(login[1]?.outcome ?? '', /^(committed|accepted)$/);
    assert.deepEqual([state('old'), state('new')], ['ended', 'active']);
    const replicas = durability.mode === 'replica' ? 1 : undefined;
    assert.equal(store.sent.find(({ key }) => key === keyOf('new'))?.replicas, replicas);
  }
});

test('a new ID under which nothing is kept is an ordinary logout', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  assert.deepEqual(await outcomes('old'), ['ended']);
  assert.equal(state('old'), 'ended');
  assert.equal(state('new'), undefined);
});

test('a response that nobody holds leaves the ID changed before long', async () => {
  const { source, state } = await aboutToLogIn({ written: 1, silence: 1 });
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  await until(() => state('old') === 'ended' && state('new') === 'active');
  source.write('other', 'cart');
  void source.replace('other', 'nothing');
  await until(() => state('other') === 'ended');
});

test('two changes of ID in one request leave the last one', async () => {
  const { source, state, outcomes, stored } = await aboutToLogIn();
  void source.replace('old', 'between');
  source.write('between', 'not for long');
  void source.replace('between', 'new');
  source.write('new', 'cart of Ann');
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.equal(state('old'), 'ended');
  assert.equal(state('between'), undefined);
  assert.equal(await stored('new'), 'cart of Ann');
  source.write('between', 'late');
  assert.deepEqual(await outcomes('between'), ['late']);
});

test('a change of ID after one that stands retires that one in its turn', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'between');
  source.write('between', 'cart of Ann');
  await outcomes('old', 'between');
  void source.replace('between', 'new');
  source.write('new', 'cart of Ann');
  assert.deepEqual(await outcomes('between', 'new'), ['ended', 'committed']);
  assert.deepEqual([state('old'), state('between'), state('new')], ['ended', 'ended', 'active']);
});

for (const written of [true, false]) {
  test(`a logout right after a change of ID ends both, ${written ? 'written' : 'nothing written'}`, async () => {
    const { source, state, outcomes } = await aboutToLogIn();
    void source.replace('old', 'new');
    if (written) source.write('new', 'cart of Ann');
    await source.logout('new');
    assert.deepEqual(await outcomes('old', 'new'), ['ended', 'ended']);
    assert.deepEqual([state('old'), state('new')], ['ended', 'ended']);
  });
}

test('a logout of the old ID by a request beside leaves the new session one of its own', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  await source.logout('old');
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.deepEqual([state('old'), state('new')], ['ended', 'active']);
});

test('two requests that each give the session a new ID both get one', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'one');
  void source.replace('old', 'two');
  source.write('one', 'cart of Ann');
  source.write('two', 'cart of Ann');
  const answers = await Promise.all([outcomes('old', 'two'), outcomes('old', 'one')]);
  assert.deepEqual(answers, Array(2).fill(['ended', 'committed']));
  assert.deepEqual([state('old'), state('one'), state('two')], ['ended', 'active', 'active']);
});

test('a session goes on as one that exists already', async () => {
  const { agent, source, state, outcomes, stored } = await aboutToLogIn();
  source.write('known', 'orders');
  await commitAll(agent, 'known');
  void source.replace('old', 'known');
  source.write('known', 'orders and cart');
  assert.deepEqual(await outcomes('old', 'known'), ['ended', 'committed']);
  assert.equal(state('old'), 'ended');
  assert.equal(await stored('known'), 'orders and cart');
});

test('an ID that takes the place of itself, or of one that is leaving, is a logout', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'old');
  assert.deepEqual(await outcomes('old'), ['ended']);
  source.write('a', 'cart');
  await outcomes('a');
  void source.replace('a', 'b');
  await source.replace('c', 'a');
  assert.equal(state('c'), 'ended');
});

test('a new session that cannot be saved retires the old one by itself', async () => {
  const { source, state, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'x'.repeat(5_000));
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'unprotected']);
  assert.equal(state('old'), 'ended');
});

test('a first login, without a session before, leaves nothing undone', async () => {
  const { source, outcomes, stored } = await aboutToLogIn();
  void source.replace('never saved', 'new');
  source.write('new', 'Ann');
  assert.deepEqual(await outcomes('new'), ['committed']);
  assert.equal(await stored('new'), 'Ann');
});

test('who asks for the old session meanwhile waits for the decision', async () => {
  const { agent, source, outcomes } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  await assert.rejects(source.listener.missed('old'), { code: 'SESSION_MOVING' });
  assert.deepEqual(await agent.adopt('old', 1), { outcome: 'unknown', code: 'SESSION_MOVING' });
  assert.deepEqual(await agent.release('old'), { outcome: 'unknown', code: 'SESSION_MOVING' });
  const missed = source.listener.missed('old');
  await outcomes('old', 'new');
  assert.equal(await missed, undefined);
});

test('a change that was not saved yet when the ID changed is saved in the old session if the app dies', async () => {
  const { agent, source, store, stored } = await aboutToLogIn();
  store.fault = (operation) => (operation === 'commit' ? 'unreachable' : 'none');
  source.write('old', 'cart with tea');
  const bytes = source.sessions.get('old');
  const capture = source.capture.bind(source);
  // The source keeps what it was told until it is asked.
  source.capture = (id) => (id === 'old' ? Promise.resolve(bytes) : capture(id));
  const earlier = agent.commit(['old'], PATIENCE_MS);
  void source.replace('old', 'new');
  source.listener.detached('killed');
  source.listener.attached();
  store.fault = () => 'none';
  assert.equal((await earlier)[0]?.outcome, 'committed');
  assert.equal(await stored('old'), 'cart with tea');
});

test('an agent that stops leaves no change of ID half done', async () => {
  const { agent, source, state } = await aboutToLogIn();
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  source.write('gone', 'cart');
  await commitAll(agent, 'gone');
  void source.replace('gone', 'nothing');
  await agent.stop(PATIENCE_MS);
  assert.deepEqual([state('old'), state('new'), state('gone')], ['ended', 'active', 'ended']);
});
