import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HeldWrites, HeldWritesResult, Round } from './held-writes.ts';
import { type DurabilityResults, judge } from './targets.ts';
import { VARIANT_NAMES, type VariantName } from './variants.ts';

const NOTHING: DurabilityResults = { writes: [], commits: undefined, takeovers: [], drains: [] };

/** @param writesMs - of each round */
function result(writesMs: readonly number[], readCommands = 0): HeldWritesResult {
  const throughput = { requestsPerSecond: 1, cpuMicros: {} };
  const commands = { sessions: {}, others: {} };
  const rounds = writesMs.map((millis): Round => {
    const latency = { p50Millis: millis, p99Millis: millis };
    return {
      throughput: { read: throughput, write: throughput },
      latency: { read: latency, write: latency },
      errors: 0,
    };
  });
  return {
    ...(rounds[0] as Round),
    commands: { read: readCommands, write: 1 },
    commandNames: { read: commands, write: commands },
    rounds,
  };
}

function heldWrites(
  delayMs: number,
  commitMs: number,
  results: Partial<Record<VariantName, HeldWritesResult>>,
): HeldWrites {
  const variants = Object.fromEntries(VARIANT_NAMES.map((name) => [name, results[name] ?? result([1])]));
  return {
    delayMs,
    roundTrips: { commitMs, replicatedCommitMs: commitMs },
    variants: variants as HeldWrites['variants'],
  };
}

const measured = (results: Partial<DurabilityResults>) =>
  judge({ ...NOTHING, ...results }).map(({ measured, met }) => [measured, met]);

describe('the targets', () => {
  test('that nothing was measured for are left out', () => {
    assert.deepEqual(judge(NOTHING), []);
  });

  test('count waits for the store by how much later a write is answered when it is farther, in quiet rounds', () => {
    const near = heldWrites(0, 0.2, { async: result([1]), ack: result([1.5, 9]) });
    const once = heldWrites(1, 1.2, { async: result([1]), ack: result([7, 2.5]) });
    const twice = heldWrites(1, 1.2, { async: result([1]), ack: result([3.5]) });
    assert.deepEqual(measured({ writes: [near, once] })[1], ['1', true]);
    assert.deepEqual(measured({ writes: [near, twice] })[1], ['2', false]);
  });

  test('allow no store command for a read, in none of the modes', () => {
    const clean = heldWrites(0, 0.2, { 'connect-redis': result([1], 2) });
    const replica = heldWrites(0, 0.2, { replica: result([1], 0.01) });
    assert.deepEqual(measured({ writes: [clean] }), [['0', true]]);
    assert.deepEqual(measured({ writes: [replica] }), [['0.01', false]]);
  });

  test('are met at the very limit of the share and of round trips, and missed at that of the time', () => {
    const rates = { store: 8, evalsha: 10, 'evalsha-pipelined': 9 };
    assert.deepEqual(measured({ commits: { perSecond: rates, share: 0.8, turns: [] } }), [['0.8', true]]);
    assert.deepEqual(measured({ commits: { perSecond: rates, share: 0.79, turns: [] } }), [['0.79', false]]);
    assert.deepEqual(measured({ drains: [{ gateways: 2, sessions: 10_000, tookMs: 5_000 }] }), [
      ['5 s', false],
    ]);
  });
});
