import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommitRequest, SessionCommit } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { Committer } from './committer.ts';
import type { HoldDecision } from './hold-rules.ts';

/** Nothing that a test waits for takes so long. */
const HOLD_MS = 60_000;

const WRITE: HoldDecision = { durability: { mode: 'ack', onStoreDown: 'serve' }, unsafe: true };

function scene() {
  const pool = testPool({ 'app-1': {}, 'app-2': {} });
  const backend = backendOf(pool, 'app-1');
  backend.appUp = backend.agentUp = true;
  const other = backendOf(pool, 'app-2');
  const asked: Omit<CommitRequest, 'backend'>[] = [];
  const known = new KnownBindings();
  const acknowledged = new Acknowledgements();
  const counters = new GatewayCounters();
  const log = recordedLog();
  const session = new SessionReference(pool, 'a-session');
  const world = {
    answer: async (_signal?: AbortSignal): Promise<SessionCommit> => ({
      outcome: 'committed',
      epoch: 3,
      seq: 7,
    }),
    isAppAlive: true,
    probes: 0,
  };
  const committer = new Committer({
    agentClient: {
      commit: async (_to: Backend, request: Omit<CommitRequest, 'backend'>, signal?: AbortSignal) => {
        asked.push(request);
        return { sessions: [await world.answer(signal)] };
      },
    } as unknown as AgentClient,
    health: {
      agentFailed: () => undefined,
      probeApp: async () => {
        world.probes += 1;
        return world.isAppAlive;
      },
    } as unknown as BackendReports,
    known,
    acknowledged,
    counters,
    logger: log.logger,
    holdTimeoutMs: HOLD_MS,
  });
  const commit = (decision = WRITE, failed = false) =>
    committer.commit({ backend, incarnation: 'first', stamp: undefined }, [session], decision, failed);
  const knownOfSession = () => known.get(session.ref);
  const isAhead = (seq: number) => acknowledged.areAheadOf(session.ref, seq);
  return { world, backend, other, asked, commit, knownOfSession, isAhead, counters, log };
}

test('an agent is told of an answer that is an error, and of no other', async () => {
  const { asked, commit } = scene();
  await commit(WRITE, true);
  await commit(WRITE);
  assert.deepEqual(
    asked.map(({ failed }) => failed),
    [true, undefined],
  );
});

for (const code of ['AGENT_UNREACHABLE', 'AGENT_NO_ANSWER'] as const) {
  test(`an agent that is ${code} is asked again, and told whom the request was meant for`, async () => {
    const { world, asked, commit } = scene();
    const obey = world.answer;
    world.answer = async () => {
      if (asked.length < 3) throw new StickshiftError(code, 'restarting');
      return obey();
    };
    assert.equal(await commit(), 3);
    assert.deepEqual(
      asked.map(({ incarnation }) => incarnation),
      ['first', 'first', 'first'],
    );
  });
}

test('an agent that is away is not waited for when the session can be had elsewhere', async () => {
  const { world, backend, other, asked, commit } = scene();
  other.appUp = other.agentUp = true;
  world.answer = async () => {
    // What the monitor makes of it.
    backend.agentUp = false;
    throw new StickshiftError('AGENT_UNREACHABLE', 'refused');
  };
  await assert.rejects(commit(), { code: 'COMMIT_UNKNOWN' });
  assert.ok(asked.length > 1, 'it may have been restarted');
  assert.ok(asked.slice(1).every(({ timeoutMs }) => timeoutMs <= 250));
});

test('an agent that is taken for down while it is asked is waited for no longer than one that is away', async () => {
  const { world, backend, other, asked, commit } = scene();
  other.appUp = other.agentUp = true;
  world.answer = (signal) => {
    setImmediate(() => {
      backend.agentUp = false;
    });
    const { promise, reject } = Promise.withResolvers<SessionCommit>();
    const giveUp = () => reject(new StickshiftError('AGENT_NO_ANSWER', 'given up'));
    if (signal) signal.addEventListener('abort', giveUp);
    else giveUp();
    return promise;
  };
  await assert.rejects(commit(), { code: 'COMMIT_UNKNOWN' });
  assert.ok(asked.length > 1, 'it may have been taken for down by mistake');
  assert.ok(asked.slice(1).every(({ timeoutMs }) => timeoutMs <= 250));
});

test('an agent that went down with its app is not waited for', async () => {
  const { world, backend, asked, commit } = scene();
  world.answer = async () => {
    // What the health check that this failure prompts will find.
    if (asked.length === 2) backend.appUp = false;
    throw new StickshiftError('AGENT_UNREACHABLE', 'refused');
  };
  await assert.rejects(commit(), { code: 'COMMIT_UNKNOWN' });
  assert.equal(asked.length, 2);
});

test('the answer to a logout goes out, and the session’s ID is looked up when it comes again', async () => {
  const { world, commit, knownOfSession } = scene();
  world.answer = async () => ({ outcome: 'ended' });
  assert.equal(await commit(), 'ended');
  assert.equal(knownOfSession()?.isDoubtful, true);
});

for (const [outcome, code] of [
  ['fenced', 'COMMIT_FENCED'],
  ['late', 'COMMIT_ENDED'],
] as const) {
  test(`a change that is ${outcome} is not acknowledged, and the next request looks the session up`, async () => {
    const { world, commit, knownOfSession } = scene();
    await commit();
    world.answer = async () => ({ outcome });
    await assert.rejects(commit(), { code });
    assert.equal(knownOfSession()?.isDoubtful, true);
  });
}

test('the agent is asked for what the decision says', async () => {
  const { commit, asked } = scene();
  const durability = { mode: 'replica', replicas: 2, onStoreDown: 'refuse' } as const;
  await commit({ durability, unsafe: false });
  assert.deepEqual(
    asked.map((request) => request.durability),
    [durability],
  );
});

test('an answer whose change is accepted goes out before its commit, and is remembered as such', async () => {
  const { world, commit, counters, isAhead } = scene();
  world.answer = async () => ({ outcome: 'accepted', epoch: 3, seq: 7 });
  assert.equal(await commit(), 3);
  assert.partialDeepStrictEqual(counters.held, { accepted: 1, released: 0 });
  assert.equal(isAhead(7), true);
});

test('answers from the journal go out, count as at risk, and are logged once for each outage', async () => {
  const { world, commit, counters, isAhead, log } = scene();
  world.answer = async () => ({ outcome: 'journaled', epoch: 3, seq: 7 });
  assert.deepEqual([await commit(), await commit()], [3, 3]);
  assert.partialDeepStrictEqual(counters.held, { atRisk: 2, released: 0 });
  assert.equal(isAhead(7), true);
  assert.equal(log.matching(/at risk/).length, 1);
});

test('a write of which the agent has seen nothing is acknowledged only while the app server is alive', async () => {
  const { world, commit, counters } = scene();
  world.answer = async () => ({ outcome: 'committed', epoch: 3, seq: 7, unchanged: true });
  assert.equal(await commit(), 3);
  world.isAppAlive = false;
  await assert.rejects(commit(), { code: 'COMMIT_UNKNOWN' });
  assert.equal(counters.held.withheld, 1);
  assert.equal(await commit({ ...WRITE, unsafe: false }), 3, 'what only reads has nothing to lose');
  assert.equal(world.probes, 2);
});

test('a write that has changed the session needs no look at the app server', async () => {
  const { world, commit } = scene();
  world.isAppAlive = false;
  assert.equal(await commit(), 3);
  assert.equal(world.probes, 0);
});
