import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { AGENT_API, type LeaseRequest } from '../../protocol/agent-api.ts';
import { eventually } from '../../test/services/eventually.ts';
import { FakeAgent } from '../../test/services/fake-agent.ts';
import { createAgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { createLeases } from './leases.ts';

/** A gateway's leases, as far as one agent is concerned, and the agent. */
async function setUp(t: TestContext, { patienceMs = 60_000 } = {}) {
  const agent = await FakeAgent.start({ backend: 'app-1', application: 'shop' });
  t.after(() => agent.stop());
  const pool = testPool({ 'app-1': { agent: new URL(agent.url) } });
  const agentClient = createAgentClient({ token: 'the-token', timeoutMs: 2_000 });
  t.after(() => agentClient.close());
  const inFlight = new InFlightSessions();
  const log = recordedLog();
  const backend = backendOf(pool, 'app-1');
  backend.agentUp = true;
  const health = {
    agentFailed: (failed: Backend) => {
      failed.agentUp = false;
    },
  };
  const leases = createLeases({
    pools: [pool],
    agentClient,
    health,
    inFlight,
    logger: log.logger,
    patienceMs,
  });
  t.after(() => leases.stop());
  await leases.start();
  const { lease } = backend;
  const enter = (id: string) => inFlight.enter(`shop ${id}`, id, backend);
  const vouches = (id: string, stamp = lease.stamp()) => lease.vouchesFor(stamp, `shop ${id}`);
  return { agent, backend, lease, leases, enter, vouches, log };
}

const asked = (agent: FakeAgent, what: (call: LeaseRequest) => boolean) => agent.leaseCalls.filter(what);

describe('the keeper of a lease', () => {
  test('begins it at the start, has it counted on, and names one gateway all the time', async (t) => {
    const { agent, lease } = await setUp(t);
    assert.equal(lease.holds(), true);
    await eventually('a call waits for news', () => asked(agent, ({ wait }) => wait).length > 0);
    assert.partialDeepStrictEqual(agent.leaseCalls[0], { backend: 'app-1', seen: -1, renew: true });
    assert.equal(new Set(agent.leaseCalls.map(({ gateway }) => gateway)).size, 1);
  });

  test('keeps it for longer than any one call lets it hold', async (t) => {
    const { agent, lease, vouches } = await setUp(t);
    const stamp = lease.stamp();
    await eventually('several calls have been answered', () => agent.leaseCalls.length > 3);
    assert.equal(vouches('a', stamp), true);
    assert.equal(asked(agent, ({ seen }) => seen === -1).length, 1);
  });

  test('agrees at once to a release when no request of its sessions is under way', async (t) => {
    const { agent, lease, vouches } = await setUp(t);
    const stamp = lease.stamp();
    const recall = agent.leases.recall(['a', 'b'], 'release');
    assert.equal(await agent.leases.agreed(recall, 10_000), true);
    assert.deepEqual([vouches('a', stamp), vouches('b', stamp), vouches('c', stamp)], [false, false, true]);
  });

  test('lets requests of a released session finish first, and renews the lease meanwhile', async (t) => {
    const { agent, lease, enter, vouches } = await setUp(t);
    const stamp = lease.stamp();
    const leave = enter('a');
    const recall = agent.leases.recall(['a'], 'release');
    await eventually('the recall has come', () => !vouches('a', stamp));
    const calls = agent.leaseCalls.length;
    await eventually('the lease is renewed', () => agent.leaseCalls.length >= calls + 2);
    assert.equal(recall.isOver, false);
    leave(false);
    assert.equal(await agent.leases.agreed(recall, 10_000), true);
    assert.equal(lease.holds(), true);
  });

  test('does not let one slow request hold up a release for ever', async (t) => {
    const { agent, enter } = await setUp(t, { patienceMs: 20 });
    enter('a');
    assert.equal(await agent.leases.agreed(agent.leases.recall(['a'], 'release'), 10_000), true);
  });

  test('agrees at once to the recall of a lost session, whatever is under way', async (t) => {
    const { agent, lease, enter, vouches } = await setUp(t);
    const stamp = lease.stamp();
    enter('a');
    assert.equal(await agent.leases.agreed(agent.leases.recall(['a'], 'lost'), 10_000), true);
    assert.equal(vouches('a', stamp), false, 'its answer is checked');
  });

  test('says whether a request of a removed session broke off, and goes on trusting its binding', async (t) => {
    const { agent, lease, enter, vouches } = await setUp(t);
    const stamp = lease.stamp();
    enter('a')(false);
    enter('b')(true);
    const wereAnswered = ['a', 'b', 'c'].map((id) => agent.leases.wasAnswered(id, 10_000));
    assert.deepEqual(await Promise.all(wereAnswered), [true, false, true]);
    assert.equal(vouches('a', stamp), true);
  });

  for (const isBroken of [false, true]) {
    const what = isBroken ? 'breaks off' : 'is answered';
    test(`waits until the request that may have removed a session ${what}, longer than for any other`, async (t) => {
      const { agent, enter } = await setUp(t, { patienceMs: 1 });
      const leave = enter('a');
      const wasAnswered = agent.leases.wasAnswered('a', 10_000);
      const calls = agent.leaseCalls.length;
      await eventually('it had time to say so', () => agent.leaseCalls.length >= calls + 2);
      leave(isBroken);
      assert.equal(await wasAnswered, !isBroken);
    });
  }

  test('agrees to nothing of an earlier life of the agent', async (t) => {
    const { agent, enter } = await setUp(t);
    const leave = enter('a');
    const earlier = agent.leases.wasAnswered('a', 10);
    assert.equal(await earlier, false);
    agent.readiness = { ...agent.readiness, incarnation: 'second' };
    await eventually('a lease of the new life', () => agent.leases.held > 0);
    leave(false);
    // Under the number that the first question had.
    const leaveAgain = enter('b');
    t.after(() => leaveAgain(false));
    const recall = agent.leases.recall(['b'], 'release');
    const calls = agent.leaseCalls.length;
    await eventually('it had time to say so', () => agent.leaseCalls.length >= calls + 2);
    assert.equal(recall.isOver, false);
    assert.deepEqual(
      asked(agent, ({ seen, acknowledged }) => seen < 0 && acknowledged.length > 0),
      [],
    );
  });

  test('tells the agent at once when trust is withdrawn', async (t) => {
    const { agent, lease, vouches } = await setUp(t);
    await eventually('a call waits for news', () => asked(agent, ({ wait }) => wait).length > 0);
    const stamp = lease.stamp();
    lease.distrust();
    assert.equal(vouches('a', stamp), false);
    await eventually('what is confirmed from now on is trusted', () => vouches('a'));
    assert.equal(vouches('a', stamp), false);
  });

  test('begins a new lease when the agent lives another life', async (t) => {
    const { agent, lease, vouches } = await setUp(t);
    const stamp = lease.stamp();
    agent.readiness = { ...agent.readiness, incarnation: 'second' };
    await eventually('a lease of the new life', () => vouches('a') && lease.stamp()?.life !== stamp?.life);
    assert.equal(vouches('a', stamp), false);
  });

  test('begins a new lease when the agent knows of none', async (t) => {
    const { agent, lease, vouches } = await setUp(t);
    const stamp = lease.stamp();
    const lease1 = agent.replies[AGENT_API.lease];
    assert.ok(lease1);
    let refused = 0;
    agent.replies[AGENT_API.lease] = (call) => {
      if ((call.body as LeaseRequest).seen === -1) return lease1(call);
      refused += 1;
      if (refused > 1) return lease1(call);
      return { status: 503, body: { error: { code: 'LEASE_REFUSED', message: 'none', retrySafe: true } } };
    };
    await eventually('it has begun anew', () => refused > 0 && vouches('a'));
    assert.equal(vouches('a', stamp), false);
  });

  test('loses it when the agent is gone, says so once, and gets it back when the agent is', async (t) => {
    const { agent, lease, vouches, log } = await setUp(t);
    const stamp = lease.stamp();
    const reply = agent.replies[AGENT_API.lease];
    assert.ok(reply);
    agent.replies[AGENT_API.lease] = () => ({ status: 500, body: 'no' });
    await eventually('it has run out', () => !lease.holds());
    await eventually('that is logged', () => log.matching(/no lease/).length > 0);
    const calls = agent.leaseCalls.length;
    await eventually('it is asked for all the same', () => agent.leaseCalls.length > calls + 1);
    assert.equal(log.matching(/no lease/).length, 1);
    agent.replies[AGENT_API.lease] = reply;
    await eventually('it holds again', () => vouches('a'));
    assert.equal(vouches('a', stamp), false);
  });

  for (const [what, refusal] of Object.entries({
    'refuses it': { status: 503, body: { error: { code: 'LEASE_REFUSED', message: 'no', retrySafe: true } } },
    'vouches for nothing': { body: { incarnation: '1', recall: 0, ttlMs: 0, recalls: [] } },
  })) {
    test(`has none while the agent ${what}, asks on, and takes nobody for down`, async (t) => {
      const { agent, backend, lease, vouches } = await setUp(t);
      const reply = agent.replies[AGENT_API.lease];
      assert.ok(reply);
      agent.replies[AGENT_API.lease] = () => refusal;
      await eventually('it is over', () => !lease.holds());
      const calls = agent.leaseCalls.length;
      await eventually('it is asked for all the same', () => agent.leaseCalls.length > calls + 1);
      assert.equal(lease.holds(), false);
      await eventually('it answers', () => !lease.isSilent());
      assert.equal(backend.agentUp, true);
      agent.replies[AGENT_API.lease] = reply;
      await eventually('it holds again', () => vouches('a'));
    });
  }

  test('takes an agent for down that has gone', async (t) => {
    const { agent, backend } = await setUp(t);
    await agent.stop();
    await eventually('it is taken for down', () => !backend.agentUp);
  });

  test('takes an agent for down that is silent for longer than a lease holds', async (t) => {
    const { agent, backend, lease } = await setUp(t);
    const silence = Promise.withResolvers<{ status: number; body: string }>();
    t.after(() => silence.resolve({ status: 500, body: 'too late' }));
    agent.replies[AGENT_API.lease] = () => silence.promise;
    await eventually('the lease has run out', () => !lease.holds());
    await eventually('it is taken for down', () => !backend.agentUp);
  });

  test('says of an agent that was silent for a while, and was not taken for down, for how long', async (t) => {
    const { agent, log } = await setUp(t);
    const reply = agent.replies[AGENT_API.lease];
    assert.ok(reply);
    const silence = Promise.withResolvers<{ status: number; body: string }>();
    t.after(() => silence.resolve({ status: 500, body: 'too late' }));
    agent.replies[AGENT_API.lease] = () => {
      agent.replies[AGENT_API.lease] = reply;
      return silence.promise;
    };
    await eventually('that is logged', () => log.matching(/said nothing/).length > 0);
    assert.ok(Number(log.matching(/said nothing/)[0]?.silentMs) >= 1_000);
  });

  test('gives it back when the gateway stops, so that nobody waits for it', async (t) => {
    const { agent, lease, leases } = await setUp(t);
    await leases.stop();
    assert.equal(lease.holds(), false);
    assert.equal(agent.leases.held, 0);
  });
});
