import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { SessionCommit } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import { GatewayCounters } from '../counters.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { backendOf, testPool } from '../testing/test-pool.ts';
import { Committer } from './committer.ts';

/** Nothing that a test waits for takes so long. */
const HOLD_MS = 60_000;

function scene() {
  const pool = testPool({ 'app-1': {} });
  const backend = backendOf(pool, 'app-1');
  backend.appUp = true;
  const asked: (string | undefined)[] = [];
  const known = new KnownBindings();
  const session = new SessionReference(pool, 'a-session');
  const world = {
    answer: async (): Promise<SessionCommit> => ({ outcome: 'committed', epoch: 3, seq: 7 }),
  };
  const committer = new Committer({
    agentClient: {
      commit: async (_to: Backend, { incarnation }: { incarnation?: string }) => {
        asked.push(incarnation);
        return { sessions: [await world.answer()] };
      },
    } as unknown as AgentClient,
    health: { agentFailed: () => undefined } as unknown as HealthMonitor,
    known,
    counters: new GatewayCounters(),
    logger: pino({ level: 'silent' }),
    holdTimeoutMs: HOLD_MS,
  });
  const commit = () => committer.commit({ backend, incarnation: 'first' }, [session]);
  const knownOfSession = () => known.get(session.ref);
  return { world, backend, asked, commit, knownOfSession };
}

for (const code of ['AGENT_UNREACHABLE', 'AGENT_NO_ANSWER'] as const) {
  test(`an agent that is ${code} is asked again, and told whom the request was meant for`, async () => {
    const { world, asked, commit } = scene();
    const obey = world.answer;
    world.answer = async () => {
      if (asked.length < 3) throw new StickshiftError(code, 'restarting');
      return obey();
    };
    assert.equal(await commit(), 3);
    assert.deepEqual(asked, ['first', 'first', 'first']);
  });
}

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
  assert.equal(knownOfSession(), 'doubtful');
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
    assert.equal(knownOfSession(), 'doubtful');
  });
}
