import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, PATIENCE_MS, seal, startTestAgent, until } from '../testing/agent-under-test.ts';
import { appIsAway } from '../testing/memory-source.ts';

const SOON = 500;

/** Another backend took the session over. */
async function takenOver(
  store: Awaited<ReturnType<typeof startTestAgent>>['store'],
  id: string,
): Promise<void> {
  const { epoch } = store.records.get(keyOf(id)) ?? assert.fail('there is no record');
  await store.adopt(keyOf(id), { owner: 'app-2', ifEpoch: epoch });
}

test('a change is in the store when its commit is answered', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed', epoch: 1, seq: 1 }]);
  assert.equal(await stored('alice'), 'one pear');
});

test('a change that nobody asks about is committed all the same', async () => {
  const { source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await until(async () => (await stored('alice')) === 'one pear');
});

test('commit answers come in the order of the question', async () => {
  const { agent, source } = await startTestAgent();
  source.write('alice', 'one pear');
  const [nobody, alice] = await agent.commit(['nobody', 'alice'], PATIENCE_MS);
  assert.deepEqual([nobody?.outcome, alice?.outcome], ['not-held', 'committed']);
});

test('changes during a commit are covered by one more commit', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  let captures = 0;
  source.onCapture = () => {
    if (++captures > 1) return;
    for (let item = 2; item <= 50; item++) source.write('alice', `${item} pears`);
  };
  source.write('alice', 'one pear');
  await until(() => captures > 0);
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), '50 pears');
  assert.equal(store.sent.length, 2);
});

test('a change with the same bytes costs no write', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  assert.equal(store.sent.length, 1);
});

for (const [name, idleAt] of [
  ['with fractions', Date.now() + 60_000.75],
  ['without an end', Number.POSITIVE_INFINITY],
] as const) {
  test(`an idle deadline ${name} is saved as a whole number`, async () => {
    const { agent, source } = await startTestAgent();
    source.write('alice', 'one pear', idleAt);
    await commitAll(agent, 'alice');
  });
}

test('a change that the source notices only when asked is covered', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.onRefresh = (id) => source.write(id, 'noticed late');
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), 'noticed late');
});

test('no more commits are under way than allowed', async () => {
  const { agent, source } = await startTestAgent({ limits: { commits: 3 } });
  let underWay = 0;
  let most = 0;
  source.onCapture = async () => {
    most = Math.max(most, ++underWay);
    await new Promise(setImmediate);
    underWay--;
  };
  const ids = Array.from({ length: 20 }, (_, number) => `session-${number}`);
  for (const id of ids) source.write(id, 'cart');
  await commitAll(agent, ...ids);
  assert.equal(most, 3);
});

test('while the store is away a commit is unknown, and it is made up for when the store is back', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.deepEqual(await agent.commit(['alice'], SOON), [{ outcome: 'unknown', code: 'STORE_UNREACHABLE' }]);
  assert.equal(agent.store, 'unreachable');
  assert.ok(agent.owned.exposureMs() > 0);

  store.fault = () => 'none';
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), 'one pear');
  assert.equal(agent.store, 'ok');
  assert.equal(agent.owned.exposureMs(), 0);
});

test('nobody who gave up waiting stays behind', async () => {
  const { agent, source, store } = await startTestAgent();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  await agent.commit(['alice'], 1);
  assert.equal(agent.owned.get('alice')?.waiters.size, 0);
});

test('while the store is away many sessions try it one at a time', async () => {
  const { agent, source, store } = await startTestAgent({ limits: { commits: 8 } });
  store.fault = () => 'unreachable';
  for (let number = 0; number < 100; number++) source.write(`session-${number}`, 'cart');
  await until(() => agent.store === 'unreachable');
  let underWay = 0;
  let most = 0;
  source.onCapture = async () => {
    most = Math.max(most, ++underWay);
    await new Promise(setImmediate);
    underWay--;
  };
  const before = source.captures;
  await until(() => source.captures > before + 5);
  assert.equal(most, 1);
});

test('after a lost answer the next attempt has a new seq', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  let lost = 0;
  store.fault = () => (lost++ < 1 ? 'lost-late' : 'none');
  source.write('alice', 'two pears');
  await commitAll(agent, 'alice');
  store.deliverLate();
  assert.deepEqual(
    store.sent.map(({ seq }) => seq),
    [1, 2, 3],
  );
  assert.equal(await stored('alice'), 'two pears');
});

test('a first commit whose answer was lost is recognised in the store', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  let lost = 0;
  store.fault = (operation) => (operation === 'commit' && lost++ < 1 ? 'lost-applied' : 'none');
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), 'one pear');
  assert.deepEqual(source.forgotten, []);
});

test('a session that was taken over is forgotten, and the waiting response hears of it', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await takenOver(store, 'alice');
  source.write('alice', 'a change that must not be acknowledged');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
  await until(() => source.forgotten.length > 0);
  assert.deepEqual(source.forgotten, ['alice']);
  assert.equal(await stored('alice'), 'one pear');
  assert.equal(agent.counters.commits.fenced, 1);
});

test('a commit asked for after the background found out is answered fenced as well', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  await takenOver(store, 'alice');
  source.write('alice', 'two pears');
  await until(() => source.forgotten.length > 0);
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
});

for (const owner of ['app-1', 'app-2']) {
  test(`an empty session made over a good one of ${owner} never replaces it`, async () => {
    const { agent, source, store, stored } = await startTestAgent();
    const payload = {
      source: 'express' as const,
      sessionId: 'alice',
      idleAt: 0,
      data: Buffer.from('a full cart'),
    };
    await store.commit(keyOf('alice'), {
      owner,
      epoch: 1,
      seq: 2,
      snapshot: await seal.seal(keyOf('alice'), { epoch: 1, seq: 2 }, payload),
      deadlines: { idleAt: Date.now() + 60_000, absoluteAt: undefined },
    });
    // Neither a first answer that is lost nor a store that is away for a while may open a way around it.
    const faults = ['unreachable', 'unreachable', 'lost', 'unreachable'] as const;
    let call = 0;
    store.fault = () => faults[call++] ?? 'none';
    source.write('alice', 'an empty cart');
    assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
    await until(() => source.text('alice') === undefined);
    assert.equal(await stored('alice'), 'a full cart');
  });
}

test('a stale commit of our own session goes on above the record', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  const record = store.records.get(keyOf('alice')) ?? assert.fail('there is no record');
  record.seq = 40;
  source.write('alice', 'two pears');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed', epoch: 1, seq: 41 }]);
  assert.equal(await stored('alice'), 'two pears');
  assert.equal(agent.counters.commits.stale, 1);
});

test('one session that the store refuses does not hold up the others', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('poison', 'p');
  await commitAll(agent, 'poison');
  const { commit } = store;
  store.commit = (key, request) => {
    if (key !== keyOf('poison')) return commit.call(store, key, request);
    store.fault = () => 'refused';
    return commit.call(store, key, request).finally(() => {
      store.fault = () => 'none';
    });
  };
  source.write('poison', 'q');
  assert.deepEqual(await agent.commit(['poison'], SOON), [{ outcome: 'unknown', code: 'STORE_REFUSED' }]);
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), 'one pear');
});

test('a session over the limit is unprotected, logged once, and protected again when it shrinks', async () => {
  const { agent, source, warnings, stored } = await startTestAgent({ limits: { session: 100 } });
  for (const size of [101, 102]) {
    source.write('alice', 'x'.repeat(size));
    assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'unprotected' }]);
  }
  assert.equal(agent.owned.unprotected, 1);
  assert.equal(agent.owned.exposureMs(), 0, 'it is not late, it is not saved at all');
  assert.deepEqual(
    warnings.map(({ reason }) => reason),
    ['too-large'],
  );

  source.write('alice', 'small');
  await commitAll(agent, 'alice');
  assert.equal(agent.owned.unprotected, 0);
  assert.equal(await stored('alice'), 'small');
});

test('a session that the source cannot capture is unprotected', async () => {
  const { agent, source, warnings } = await startTestAgent();
  source.onCapture = () => Promise.reject(new Error('not serialisable'));
  source.write('alice', 'cart');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'unprotected' }]);
  assert.deepEqual(
    warnings.map(({ reason }) => reason),
    ['not-capturable'],
  );
});

test('an app that is away for a moment makes no session unprotected', async () => {
  const { agent, source, stored } = await startTestAgent();
  source.write('alice', 'one pear');
  await commitAll(agent, 'alice');
  source.listener.detached('connection lost');
  source.failure = appIsAway();
  source.write('alice', 'two pears');
  assert.deepEqual(await agent.commit(['alice'], SOON), [{ outcome: 'unknown', code: 'SOURCE_FAILED' }]);

  source.failure = undefined;
  source.listener.attached();
  await commitAll(agent, 'alice');
  assert.equal(await stored('alice'), 'two pears');
  assert.equal(agent.owned.unprotected, 0);
});

test('beyond its limit the agent takes on no more sessions, and says so', async () => {
  const { agent, source, warnings } = await startTestAgent({ limits: { sessions: 2 } });
  for (const id of ['a', 'b', 'c', 'c']) source.write(id, 'cart');
  assert.deepEqual(await agent.commit(['c', 'nobody'], PATIENCE_MS), [
    { outcome: 'unprotected' },
    { outcome: 'not-held' },
  ]);
  assert.equal(agent.owned.size, 2);
  assert.equal(agent.owned.unprotected, 1);
  assert.equal(warnings.length, 1);
});

test('a small move of the idle deadline is not written, a large one is', async () => {
  const { agent, source, store } = await startTestAgent();
  const hour = Date.now() + 3_600_000;
  const stored = () => store.records.get(keyOf('alice'))?.deadlines.idleAt;
  source.write('alice', 'cart', hour);
  await commitAll(agent, 'alice');
  const calls = store.calls;
  source.listener.touched('alice', hour + 1_000);
  await new Promise(setImmediate);
  assert.equal(store.calls, calls);
  source.listener.touched('alice', hour + 600_000);
  await until(() => stored() === hour + 600_000);
});

test('a touched session whose record is gone is committed anew', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  store.records.clear();
  source.listener.touched('alice', Date.now() + 7_200_000);
  await until(async () => (await stored('alice')) === 'cart');
});

test('a touch finds out that the session was taken over', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await takenOver(store, 'alice');
  source.listener.touched('alice', Date.now() + 7_200_000);
  await until(() => source.forgotten.includes('alice'));
  assert.equal(agent.owned.size, 0);
});

test('an app that does not obey is told to forget again', async () => {
  const { agent, source, store } = await startTestAgent();
  source.write('alice', 'cart');
  await commitAll(agent, 'alice');
  await takenOver(store, 'alice');
  const { forget } = source;
  source.forget = () => Promise.reject(appIsAway());
  source.write('alice', 'two');
  await until(() => agent.owned.size === 0);
  source.forget = forget;
  await until(() => source.forgotten.includes('alice'));
});

test('stopping saves what is dirty and stays the owner', async () => {
  const { agent, source, store, stored } = await startTestAgent();
  let failures = 0;
  store.fault = () => (failures++ < 3 ? 'unreachable' : 'none');
  source.write('alice', 'one pear');
  assert.equal(await agent.stop(PATIENCE_MS), 0);
  assert.equal(await stored('alice'), 'one pear');
  assert.equal(store.records.get(keyOf('alice'))?.state, 'active');
});

test('stopping gives up at its deadline and says how much was not saved', async () => {
  const { agent, source, store } = await startTestAgent();
  store.fault = () => 'unreachable';
  source.write('alice', 'one pear');
  assert.equal(await agent.stop(20), 1);
});
