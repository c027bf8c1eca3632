import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionAgent } from '../session-agent.ts';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';

/** So long that a test in which it runs out fails for it. */
const NEVER = 600_000;

/** A visitor with a cart, whose session the app keeps in a file. */
async function scene({ removalSilenceMs = NEVER, removalYouthMs = 0 } = {}) {
  const test = await startTestAgent({ idChangeTimes: { removalSilenceMs, removalYouthMs, decisionMs: 500 } });
  const { agent, source, store } = test;
  source.write('old', 'cart');
  await commitAll(agent, 'old');
  const outcomes = async (...ids: string[]) =>
    (await agent.commit(ids, PATIENCE_MS)).map(({ outcome }) => outcome);
  const state = (id: string) => store.records.get(keyOf(id))?.state;
  return { ...test, outcomes, state };
}

test('a removed session is logged out when the answer of the request that removed it has ended', async () => {
  const { source, state, outcomes } = await scene();
  source.remove('old');
  assert.equal(state('old'), 'active');
  assert.deepEqual(await outcomes('old'), ['ended']);
  assert.equal(state('old'), 'ended');
});

test('a removal that only the question brings to light is decided by that very question', async () => {
  const { source, state, outcomes } = await scene();
  source.onRefresh = (id) => {
    if (id === 'old' && source.text('old')) source.remove('old');
    if (id === 'new') source.write('new', 'cart of Ann');
  };
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.deepEqual([state('old'), state('new')], ['ended', 'active']);
});

test('a removed session goes in one step with the one that takes its place', async () => {
  const { source, store, state, outcomes } = await scene();
  const operations: string[] = [];
  store.fault = (operation) => {
    operations.push(operation);
    return 'none';
  };
  source.remove('old');
  source.onRefresh = (id) => {
    if (id === 'new') source.write('new', 'cart of Ann');
  };
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.equal(state('old'), 'ended');
  assert.ok(operations.includes('replace'));
  assert.ok(!operations.includes('end'));
});

test('a session whose successor is saved already gets a tombstone of its own', async () => {
  const { agent, source, store, state, outcomes } = await scene();
  source.remove('old');
  source.write('new', 'cart of Ann');
  await commitAll(agent, 'new');
  store.fault = (operation) => (operation === 'replace' ? 'refused' : 'none');
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  assert.equal(state('old'), 'ended');
});

test('a removed session stands as long as the request that removed it may have died', async () => {
  const { agent, source, state, stored } = await scene();
  source.remove('old');
  source.onRefresh = (id) => {
    if (id === 'new') throw new StickshiftError('SOURCE_FAILED', 'the app died before it wrote the session');
  };
  const answer = await agent.commit(['old', 'new'], PATIENCE_MS);
  assert.deepEqual(answer, [
    { outcome: 'unknown', code: 'SOURCE_FAILED' },
    { outcome: 'unknown', code: 'SOURCE_FAILED' },
  ]);
  assert.equal(state('old'), 'active');
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  assert.equal(source.text('old'), 'cart');
  source.onRefresh = () => undefined;
  source.write('old', 'cart with tea');
  await commitAll(agent, 'old');
  assert.equal(await stored('old'), 'cart with tea');
});

test('an answer that is an error is no word of a logout: its request may have died', async () => {
  const { agent, source, state } = await scene();
  source.remove('old');
  const failed = async () => agent.commit(['old'], PATIENCE_MS, { failed: true });
  assert.deepEqual(await failed(), [{ outcome: 'unknown', code: 'SOURCE_FAILED' }]);
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  assert.equal(source.text('old'), 'cart');
  assert.equal((await failed())[0]?.outcome, 'committed');
  assert.equal(state('old'), 'active');
});

test('a removed session is not brought back while the request that removed it is under way', async () => {
  const { agent, source, state, outcomes } = await scene({ removalYouthMs: NEVER });
  source.remove('old');
  assert.deepEqual(await agent.adopt('old', 1), { outcome: 'unknown', code: 'SESSION_MOVING' });
  const adopt = agent.adopt('old', 1);
  assert.deepEqual(await outcomes('old'), ['ended']);
  assert.deepEqual(await adopt, { outcome: 'ended' });
  assert.equal(state('old'), 'ended');
  assert.equal(source.text('old'), undefined);
});

test('whoever asks for a removed session waits no longer than that request may take', async () => {
  const { agent, source } = await scene({ removalYouthMs: 20 });
  source.remove('old');
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  assert.equal(source.text('old'), 'cart');
});

test('a session that was adopted again is not ended by its removal before', async () => {
  const { agent, source, state } = await scene({ removalSilenceMs: 500 });
  source.remove('old');
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  source.write('other', 'cart');
  await commitAll(agent, 'other');
  source.remove('other');
  await until(() => state('other') === 'ended');
  assert.equal(state('old'), 'active');
});

test('a removed session that was taken over elsewhere is not ended there', async () => {
  const { source, store, state } = await scene({ removalSilenceMs: 1 });
  await store.adopt(keyOf('old'), { owner: 'app-2', ifEpoch: 1 });
  source.remove('old');
  source.write('other', 'cart');
  source.remove('other');
  await until(() => state('other') === 'ended');
  assert.equal(state('old'), 'active');
});

test('a removal that nobody asks about is a logout after a while', async () => {
  const { source, state } = await scene({ removalSilenceMs: 1 });
  source.remove('old');
  await until(() => state('old') === 'ended');
});

/** A gateway that holds a lease of the agent, and says this of a removed session's requests when it is asked. */
async function gateway({ leases }: SessionAgent, name: string, says: 'fine' | 'broken' | undefined) {
  const request = { backend: 'app-1', gateway: name, acknowledged: [], wait: false };
  const { recall: seen } = await leases.call({ ...request, seen: -1 });
  return async () => {
    const { recall, recalls } = await leases.call({ ...request, seen, wait: true });
    const acknowledged = recalls.flatMap((one) => (one.reason === 'removed' ? [one.recall] : []));
    assert.equal(acknowledged.length, 1);
    const broken = says === 'broken' ? acknowledged : [];
    if (says) await leases.call({ ...request, seen: recall, acknowledged, broken });
  };
}

test('a removal by a request that was answered is a logout, though nobody asks what it was', async () => {
  const { agent, source, state } = await scene();
  const asked = [await gateway(agent, 'one', 'fine'), await gateway(agent, 'two', 'fine')];
  source.remove('old');
  await asked[0]?.();
  assert.equal(state('old'), 'active');
  await asked[1]?.();
  await until(() => state('old') === 'ended');
  assert.deepEqual(await agent.adopt('old', 1), { outcome: 'ended' });
});

for (const [what, word] of [
  ['says that a request of it broke off', 'broken'],
  ['says nothing', undefined],
] as const) {
  test(`a removed session is brought back when a gateway ${what}`, async () => {
    const { agent, source, state } = await scene();
    const gateways = [await gateway(agent, 'one', word), await gateway(agent, 'two', 'fine')];
    source.remove('old');
    for (const asked of gateways) await asked();
    assert.equal((await agent.adopt('old', 1)).outcome, 'found');
    assert.deepEqual([state('old'), source.text('old')], ['active', 'cart']);
  });
}

test('what is said of a removal too late changes nothing', async () => {
  const { agent, source, state } = await scene();
  const asked = await gateway(agent, 'one', 'fine');
  source.remove('old');
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  await asked();
  source.write('old', 'cart with tea');
  await commitAll(agent, 'old');
  assert.equal(state('old'), 'active');
});

test('what the app writes under an ID that it has removed is refused, and the ID is dead', async () => {
  const { source, state, outcomes } = await scene();
  source.remove('old');
  source.write('old', 'another cart');
  assert.deepEqual(await outcomes('old'), ['late']);
  assert.equal(state('old'), 'ended');
  await until(() => source.text('old') === undefined);
});

test('a request beside a change of ID is not told that what it wrote was kept', async () => {
  const { source, outcomes } = await scene();
  source.remove('old');
  source.onRefresh = (id) => {
    if (id === 'new') source.write('new', 'cart of Ann');
  };
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
  // Into the file that is gone, so that nobody has seen it.
  assert.deepEqual(await outcomes('old'), ['late']);
});

test('while the store is away a removed session is neither ended nor replaced', async () => {
  const { agent, source, store, state, outcomes } = await scene();
  store.fault = () => 'unreachable';
  source.remove('old');
  source.write('new', 'cart of Ann');
  const answer = await agent.commit(['old', 'new'], 30);
  assert.ok(answer.every(({ outcome }) => outcome === 'unknown'));
  assert.deepEqual([state('old'), state('new')], ['active', undefined]);
  store.fault = () => 'none';
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
});

test('a login that is fenced leaves nothing that PHP could overwrite the old session with', async () => {
  const { agent, source, store, state, outcomes, stored } = await scene();
  await store.commit(keyOf('new'), {
    ...{ owner: 'app-2', epoch: 3, seq: 1, snapshot: new Uint8Array(50) },
    deadlines: { idleAt: Date.now() + NEVER, absoluteAt: undefined },
  });
  source.remove('old');
  source.write('new', 'cart of Ann');
  assert.equal((await outcomes('old', 'new'))[1], 'fenced');
  assert.equal(state('old'), 'active');
  source.write('old', 'an empty cart');
  assert.deepEqual(await outcomes('old'), ['fenced']);
  assert.equal((await agent.adopt('old', 1)).outcome, 'found');
  assert.equal(source.text('old'), 'cart');
  assert.equal(await stored('old'), 'cart');
});

test('an agent that stops takes a removal for a logout: nobody would remember it', async () => {
  const { agent, source, state } = await scene();
  source.remove('old');
  await agent.stop(PATIENCE_MS);
  assert.equal(state('old'), 'ended');
});
