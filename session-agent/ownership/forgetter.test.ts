import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AgentUnderTest,
  commitAll,
  keyOf,
  PATIENCE_MS,
  startTestAgent,
  until,
} from '../testing/agent-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';

/** The session is taken over by another backend, and a commit finds out. */
async function lose({ agent, source, store }: AgentUnderTest, id: string): Promise<void> {
  await store.adopt(keyOf(id), { owner: 'app-2', ifEpoch: 1 });
  source.write(id, 'too late');
  assert.deepEqual(await agent.commit([id], PATIENCE_MS), [{ outcome: 'fenced' }]);
}

async function scene() {
  const test = await startTestAgent();
  test.source.write('alice', 'one pear');
  await commitAll(test.agent, 'alice');
  const gateway = await LeaseHolder.start('one', (request) => test.agent.leases.call(request));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  gateway.agrees = () => promise;
  return { ...test, gateway, open: () => resolve(true) };
}

test('the app forgets a lost session when no gateway follows a binding to it any more', async () => {
  const { gateway, open, ...test } = await scene();
  await using _ = gateway;
  await lose(test, 'alice');
  await until(() => gateway.recalls.length > 0);
  assert.partialDeepStrictEqual(gateway.recalls, [{ sessionIds: ['alice'], reason: 'lost' }]);
  assert.equal(test.source.text('alice'), 'too late', 'requests under way still find it');
  open();
  await until(() => test.source.text('alice') === undefined);
});

test('what the app does to a lost session meanwhile is not acknowledged, and begins no session', async () => {
  const { gateway, open, ...test } = await scene();
  await using _ = gateway;
  const { agent, source, store } = test;
  await lose(test, 'alice');
  store.records.delete(keyOf('alice'));
  source.write('alice', 'later still');
  assert.deepEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'fenced' }]);
  assert.equal(store.records.has(keyOf('alice')), false);
  open();
  await until(() => source.text('alice') === undefined);
});

test('a lost session that comes back before it is forgotten stays', async () => {
  const { gateway, open, ...test } = await scene();
  await using _ = gateway;
  const { agent, source } = test;
  await lose(test, 'alice');
  assert.partialDeepStrictEqual(await agent.adopt('alice', 2), { outcome: 'found', epoch: 3 });
  open();
  source.write('alice', 'two pears');
  await commitAll(agent, 'alice');
  assert.equal(source.text('alice'), 'two pears');
  assert.deepEqual(source.forgotten, []);
});

test('an app that comes back is ready only when gateways have let go of what is no longer its own', async () => {
  const { gateway, open, ...test } = await scene();
  await using _ = gateway;
  const { agent, source, store } = test;
  source.listener.detached('restarting');
  await store.adopt(keyOf('alice'), { owner: 'app-2', ifEpoch: 1 });
  source.listener.attached();
  await until(() => gateway.recalled.includes('alice'));
  assert.notEqual(agent.notReady, undefined);
  open();
  await until(() => agent.notReady === undefined);
  assert.deepEqual(source.forgotten, ['alice']);
});

test('gateways are told of a logout, and it waits for none of them', async () => {
  const { gateway, source } = await scene();
  await using _ = gateway;
  await source.logout('alice');
  await until(() => gateway.recalls.length > 0);
  assert.partialDeepStrictEqual(gateway.recalls, [{ sessionIds: ['alice'], reason: 'lost' }]);
});

test('gateways are told when the app goes, and when it comes', async () => {
  const { gateway, source, agent } = await scene();
  await using _ = gateway;
  source.listener.detached('restarting');
  await until(() => gateway.recalls.length === 1);
  source.listener.attached();
  await until(() => gateway.recalls.length === 2 && agent.notReady === undefined);
  for (const { sessionIds } of gateway.recalls) assert.deepEqual(sessionIds, []);
});
