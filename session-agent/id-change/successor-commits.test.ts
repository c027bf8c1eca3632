import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENCE_MS } from '../testing/agent-under-test.ts';
import { aboutToLogIn, SHORT_MS } from '../testing/login-under-test.ts';
import type { Fault, MemoryStore } from '../testing/memory-store.ts';

const failOnce = (store: MemoryStore, operation: string, fault: Fault) => {
  store.fault = (called) => {
    if (called !== operation) return 'none';
    store.fault = () => 'none';
    return fault;
  };
};

test('while the store is away a login is not known to have worked, and the old session stands', async () => {
  const { agent, source, store, state, outcomes } = await aboutToLogIn();
  store.fault = () => 'unreachable';
  void source.replace('old', 'new');
  source.write('new', 'cart of Ann');
  const serve = { mode: 'ack', onStoreDown: 'serve' } as const;
  const login = await agent.commit(['old', 'new'], SHORT_MS, { durability: serve });
  assert.deepEqual(
    login.map(({ outcome }) => outcome),
    ['unknown', 'unknown'],
  );
  assert.equal(state('old'), 'active');
  store.fault = () => 'none';
  assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
});

for (const fault of ['lost', 'lost-applied', 'lost-late', 'refused', 'unreachable'] as const) {
  test(`a login whose commit is ${fault} stands in the end, whole`, async () => {
    const { source, store, state, outcomes, stored } = await aboutToLogIn();
    failOnce(store, 'replace', fault);
    void source.replace('old', 'new');
    source.write('new', 'cart of Ann');
    assert.deepEqual(await outcomes('old', 'new'), ['ended', 'committed']);
    store.deliverLate();
    assert.equal(state('old'), 'ended');
    assert.equal(await stored('new'), 'cart of Ann');
    source.write('new', 'cart of Ann with tea');
    assert.deepEqual(await outcomes('new'), ['committed']);
    assert.equal(await stored('new'), 'cart of Ann with tea');
  });
}

/** Turns of the event loop between the first commit and the second change of ID: whatever is under way by then. */
const TURNS = [0, 1, 2, 3, 4, 6, 8];
for (const fault of ['none', 'lost', 'lost-applied', 'lost-late'] as const) {
  test(`a second change of ID while the first is being committed (${fault}) leaves the last one alone`, async () => {
    for (const turns of TURNS) await changeTwice(fault, turns);
  });
}

async function changeTwice(fault: Fault, turns: number): Promise<void> {
  const { agent, source, store, state, outcomes, stored } = await aboutToLogIn();
  void source.replace('old', 'between');
  source.write('between', 'not for long');
  let isSent = false;
  store.fault = () => {
    isSent = true;
    store.fault = () => 'none';
    return fault;
  };
  const first = agent.commit(['old', 'between'], PATIENCE_MS);
  while (!isSent) await new Promise(setImmediate);
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
  void source.replace('between', 'new');
  source.write('new', 'cart of Ann');
  assert.equal((await outcomes('old', 'new'))[1], 'committed');
  await first;
  store.deliverLate();
  assert.equal(state('old'), 'ended');
  assert.notEqual(state('between'), 'active');
  assert.equal(await stored('new'), 'cart of Ann');
  assert.equal(agent.owned.size, 1);
}
