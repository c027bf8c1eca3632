import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { agentOf, BACKENDS, poolOf } from '../installation/layout.ts';
import { seededRandom } from '../random.ts';
import type { Policies } from './fault.ts';
import { FAULT_KINDS, faultKind } from './kinds.ts';
import { type Round, schedule } from './schedule.ts';

const pool = (onStoreDown: 'serve' | 'refuse') =>
  ({ durability: 'ack', hold: 'writes', onStoreDown }) as const;
const POLICIES: Policies = { express: pool('serve'), php: pool('refuse') };

function rounds(seed: number, count: number, policies = POLICIES): Round[] {
  const endless = schedule(seededRandom(seed), FAULT_KINDS, policies);
  return Array.from({ length: count }, () => endless.next().value as Round);
}

describe('a schedule', () => {
  test('is the same for the same seed', () => {
    fc.assert(fc.property(fc.nat(), (seed) => assert.deepEqual(rounds(seed, 20), rounds(seed, 20))));
  });

  test('differs between seeds', () => {
    assert.notDeepEqual(rounds(1, 5), rounds(2, 5));
  });

  test('has every kind of fault, one to three at a time', () => {
    const many = rounds(1, 1_000);
    const chosen = new Set(many.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    assert.deepEqual([...chosen].sort(), FAULT_KINDS.map(({ name }) => name).sort());
    assert.deepEqual([...new Set(many.map(({ faults }) => faults.length))].sort(), [1, 2, 3]);
  });

  test('never has the store forget while anything else is wrong', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { faults, storeForgets } of rounds(seed, 20)) {
          const forgets = faults.some((plan) => faultKind(plan.kind).effects(plan).storeForgets);
          assert.equal(storeForgets, forgets);
          if (forgets) assert.equal(faults.length, 1);
        }
      }),
    );
  });

  test('never has a backend lost while its answers stand on its journal', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { faults } of rounds(seed, 20)) {
          const effects = faults.map((plan) => faultKind(plan.kind).effects(plan));
          for (const backend of BACKENDS.filter((one) => poolOf(one) === 'express')) {
            const onJournal = effects.some(({ storeAwayFor }) => storeAwayFor.includes(backend));
            const lost = effects.some(({ maySeemLost }) => maySeemLost.includes(backend));
            assert.ok(!(onJournal && lost), JSON.stringify(faults));
          }
        }
      }),
    );
  });

  test('has nodes die while the store is away where writes are refused then', () => {
    const meet = rounds(1, 1_000).some(({ faults }) => {
      const effects = faults.map((plan) => faultKind(plan.kind).effects(plan));
      return BACKENDS.some(
        (backend) =>
          poolOf(backend) === 'php' &&
          effects.some(({ storeAwayFor }) => storeAwayFor.includes(backend)) &&
          effects.some(({ maySeemLost }) => maySeemLost.includes(backend)),
      );
    });
    assert.ok(meet);
  });

  test('never breaks the same thing twice at a time', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { faults } of rounds(seed, 20)) {
          const touched = faults.flatMap((plan) => faultKind(plan.kind).effects(plan).touches);
          assert.equal(new Set(touched).size, touched.length);
        }
      }),
    );
  });
});

test('a cut between agent and store is a store that is away, for that backend alone', () => {
  const plan = { kind: 'link-cut', target: `${agentOf('express-1')}→redis`, startMs: 0, durationMs: 1 };
  const { storeAwayFor, maySeemLost } = faultKind('link-cut').effects(plan);
  assert.deepEqual([storeAwayFor, maySeemLost], [['express-1'], []]);
});

test('a gateway cut off from a node may take it for lost', () => {
  const plan = { kind: 'link-cut', target: 'gateway-1→php-2 with its agent', startMs: 0, durationMs: 1 };
  const { touches, maySeemLost } = faultKind('link-cut').effects(plan);
  assert.deepEqual([touches, maySeemLost], [['gateway-1→php-2', 'gateway-1→php-2-agent'], ['php-2']]);
});
