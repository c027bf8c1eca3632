import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitAll, keyOf, PATIENCE_MS, startTestAgent, until } from '../testing/agent-under-test.ts';
import { LeaseHolder } from '../testing/lease-holder.ts';

/** An agent that holds the sessions, and a gateway with a lease. */
async function scene(...ids: string[]) {
  const test = await startTestAgent();
  for (const id of ids) test.source.write(id, 'one pear');
  await commitAll(test.agent, ...ids);
  const gateway = await LeaseHolder.start('one', (request) => test.agent.leases.call(request));
  return { ...test, gateway };
}

/** Holds back what a gateway has to say until it is told to go on. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  return { agrees: () => promise, open: () => resolve(true) };
}

test('a session is released when all gateways have let go of it', async () => {
  const { agent, gateway } = await scene('alice');
  await using _ = gateway;
  assert.equal((await agent.release('alice')).outcome, 'released');
  assert.deepEqual(
    gateway.recalls.map(({ sessionIds, reason }) => ({ sessionIds, reason })),
    [{ sessionIds: ['alice'], reason: 'release' }],
  );
});

test('until then its commits go on, and what they write is released with it', async () => {
  const { agent, source, stored, gateway } = await scene('alice');
  await using _ = gateway;
  const { agrees, open } = gate();
  gateway.agrees = agrees;
  const release = agent.release('alice');
  await until(() => gateway.recalls.length > 0);
  source.write('alice', 'two pears');
  assert.partialDeepStrictEqual(await agent.commit(['alice'], PATIENCE_MS), [{ outcome: 'committed' }]);
  open();
  assert.deepEqual(await release, { outcome: 'released', epoch: 1, seq: 2 });
  assert.equal(await stored('alice'), 'two pears');
});

test('until then nobody is told that the session is here, and after it, to read the record', async () => {
  const { agent, store, gateway } = await scene('alice');
  await using _ = gateway;
  const { agrees, open } = gate();
  gateway.agrees = agrees;
  const release = agent.release('alice');
  const adopt = agent.adopt('alice', 1);
  await until(() => gateway.recalls.length > 0);
  open();
  assert.equal((await release).outcome, 'released');
  assert.deepEqual(await adopt, { outcome: 'moved', owner: 'app-1', epoch: 1 });
  assert.equal(store.records.get(keyOf('alice'))?.state, 'released', 'the question did not bring it back');
  assert.partialDeepStrictEqual(await agent.adopt('alice', 1), { outcome: 'found', epoch: 2 });
});

test('whoever waits long for a release is told that it goes on; it can be asked for again', async () => {
  const { agent, source, gateway } = await scene('alice');
  await using _ = gateway;
  const { agrees, open } = gate();
  gateway.agrees = agrees;
  const [release, adopt] = await Promise.all([agent.release('alice'), agent.adopt('alice', 1)]);
  assert.deepEqual(release, { outcome: 'unknown', code: 'SESSION_MOVING' });
  assert.deepEqual(adopt, { outcome: 'unknown', code: 'SESSION_MOVING' });
  assert.equal(source.text('alice'), 'one pear');
  const again = agent.release('alice');
  open();
  assert.equal((await again).outcome, 'released');
  assert.equal(gateway.recalls.length, 1, 'it went on, and was not begun anew');
});

test('a release that fails leaves the session where it is, for all who ask', async () => {
  const { agent, store, gateway } = await scene('alice');
  await using _ = gateway;
  store.fault = () => 'unreachable';
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  assert.partialDeepStrictEqual(await agent.adopt('alice', 1), { outcome: 'found', epoch: 1 });
});

test('a gateway that falls silent holds a release up only until its lease has run out', async () => {
  const { agent, store, gateway } = await scene('alice');
  await gateway.fallSilent();
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'SESSION_MOVING' });
  await until(() => store.records.get(keyOf('alice'))?.state === 'released');
  assert.equal(agent.leases.lapsed, 1);
});

test('what is not here is taken back from nobody', async () => {
  const { agent, gateway } = await scene();
  await using _ = gateway;
  assert.deepEqual(await agent.release('nobody'), { outcome: 'not-held' });
  assert.equal(agent.leases.counts.recalls, 1, 'when the app came, and not since');
});

test('sessions are taken back many at a time', async () => {
  const ids = Array.from({ length: 450 }, (_, number) => `session-${number}`);
  const { agent, gateway } = await scene(...ids);
  await using _ = gateway;
  assert.deepEqual(await agent.releaseIdle(new Set(), 1_000), {
    released: 450,
    remaining: 0,
    unprotected: 0,
  });
  assert.equal(gateway.recalls.length, 3);
});

test('while the store settles, nothing is taken back or released', async () => {
  const { agent, store, gateway } = await scene('alice');
  await using _ = gateway;
  store.beginSettling(60_000);
  assert.deepEqual(await agent.release('alice'), { outcome: 'unknown', code: 'STORE_SETTLING' });
  await assert.rejects(agent.releaseIdle(new Set(), 10), { code: 'STORE_SETTLING' });
  assert.deepEqual(gateway.recalls, []);
});

test('sessions that are busy at another gateway stay, and hold up no others', async () => {
  const ids = Array.from({ length: 20 }, (_, number) => `session-${number}`);
  const { agent, gateway } = await scene(...ids);
  await using _ = gateway;
  const { agrees, open } = gate();
  gateway.agrees = ({ sessionIds }) => !sessionIds.includes('session-3') || agrees();
  assert.deepEqual(await agent.releaseIdle(new Set(), 100), { released: 19, remaining: 1, unprotected: 0 });
  assert.deepEqual(await agent.releaseIdle(new Set(), 100), { released: 0, remaining: 1, unprotected: 0 });
  open();
  await until(() => agent.owned.size === 0);
  assert.deepEqual(await agent.releaseIdle(new Set(), 100), { released: 1, remaining: 0, unprotected: 0 });
});
