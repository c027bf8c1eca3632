import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LeaseAnswer, Recall } from '../../protocol/agent-api.ts';
import { Lease, type LeaseCall } from './lease.ts';

const TTL_MS = 60_000;
const refOf = (id: string) => `shop ${id}`;

function answer(details: Partial<LeaseAnswer> & { recall: number }): LeaseAnswer {
  return { incarnation: 'first', ttlMs: TTL_MS, recalls: [], ...details };
}

function recallOf(recall: number, ...sessionIds: string[]): Recall {
  return { recall, sessionIds, reason: 'release' };
}

/** A lease that has begun as of the recall given. */
function begun(recall = 5, limit?: number): Lease {
  const lease = new Lease(limit);
  assert.equal(lease.answered(lease.nextCall(), answer({ recall, renewed: recall }), refOf), 'began');
  return lease;
}

function tell(lease: Lease, details: Parameters<typeof answer>[0], call = lease.nextCall()) {
  return lease.answered(call, answer(details), refOf);
}

const vouches = (lease: Lease, stamp = lease.stamp(), id = 'a') => lease.vouchesFor(stamp, refOf(id));

describe('a lease', () => {
  test('vouches for nothing before it has begun', () => {
    const lease = new Lease();
    assert.equal(lease.holds(), false);
    assert.equal(lease.stamp(), undefined);
    assert.equal(vouches(lease, { life: 'a-life', recall: 0 }), false);
    assert.partialDeepStrictEqual(lease.nextCall(), { seen: -1, renew: true });
  });

  test('vouches for what was stamped since it began, and for what others stamped since then', () => {
    const lease = begun(5);
    const { life } = lease.stamp() ?? { life: '' };
    assert.equal(vouches(lease), true);
    assert.equal(vouches(lease, { life, recall: 9 }), true);
    assert.equal(vouches(lease, { life, recall: 4 }), false);
    assert.equal(lease.vouchesFor(undefined, refOf('a')), false);
  });

  test('vouches for nothing of another life of the agent', () => {
    const lease = begun();
    assert.equal(vouches(lease, { life: 'others', recall: 9 }), false);
    const before = lease.stamp();
    assert.equal(tell(lease, { recall: 0, incarnation: 'second' }), 'lapsed');
    assert.equal(vouches(lease, before), false);
    assert.equal(tell(lease, { recall: 0, renewed: 0, incarnation: 'second' }), 'began');
    assert.equal(vouches(lease, before), false);
    assert.equal(vouches(lease), true);
  });

  test('is of a silent agent when no call has been answered for 400 ms, whatever the answer was', () => {
    const lease = new Lease();
    assert.equal(lease.isSilent(), true);
    lease.heard();
    const now = performance.now();
    assert.equal(lease.isSilent(now + 300), false);
    assert.equal(lease.isSilent(now + 400), true);
  });

  test('runs out, from when the last call that was answered was sent', () => {
    const lease = begun();
    const stamp = lease.stamp();
    const now = performance.now();
    assert.equal(lease.vouchesFor(stamp, refOf('a'), now + TTL_MS - 1_000), true);
    assert.equal(lease.vouchesFor(stamp, refOf('a'), now + TTL_MS), false);
  });

  test('that has run out begins anew, and vouches for nothing from before', () => {
    const lease = new Lease();
    const late: LeaseCall = { ...lease.nextCall(), sentAt: performance.now() - TTL_MS - 1 };
    tell(lease, { recall: 5, renewed: 5 }, late);
    assert.equal(lease.holds(), false);
    const stamp = lease.stamp();
    assert.partialDeepStrictEqual(lease.nextCall(), { seen: -1, renew: true });
    tell(lease, { recall: 6, renewed: 6 });
    assert.equal(vouches(lease, stamp), false, 'somebody may have taken sessions over meanwhile');
    assert.equal(vouches(lease), true);
  });

  test('takes an answer that comes after it has run out for no lease', () => {
    const lease = begun();
    const call = lease.nextCall();
    lease.lapse();
    assert.equal(tell(lease, { recall: 7 }, call), 'ignored');
    assert.equal(lease.holds(), false);
  });

  test('does not vouch for a recalled session, until it is confirmed again', () => {
    const lease = begun(5);
    const before = lease.stamp();
    tell(lease, { recall: 6, recalls: [recallOf(6, 'a')] });
    assert.equal(vouches(lease, before, 'a'), false);
    assert.equal(vouches(lease, before, 'b'), true);
    assert.equal(vouches(lease, lease.stamp(), 'a'), true);
    tell(lease, { recall: 7, recalls: [recallOf(7, 'a')] });
    tell(lease, { recall: 6, recalls: [recallOf(6, 'a')] });
    assert.equal(lease.stamp()?.recall, 7, 'an answer that was overtaken changes nothing');
  });

  test('does not vouch for a confirmation that a recall has overtaken', () => {
    const lease = begun(5);
    const asked = lease.stamp();
    tell(lease, { recall: 6, recalls: [recallOf(6, 'a')] });
    assert.equal(vouches(lease, lease.refreshed(asked, refOf('a')), 'a'), false);
    assert.equal(lease.refreshed(asked, refOf('b')), lease.stamp());
  });

  test('vouches for nothing older than a recall of no sessions', () => {
    const lease = begun(5);
    const before = lease.stamp();
    tell(lease, { recall: 6, recalls: [recallOf(6)] });
    assert.equal(vouches(lease, before), false);
    assert.equal(vouches(lease), true);
  });

  test('vouches for nothing older than the last recall when it cannot remember them all', () => {
    const lease = begun(0, 3);
    const before = lease.stamp();
    const { life } = before ?? { life: '' };
    for (let recall = 1; recall <= 4; recall++)
      tell(lease, { recall, recalls: [recallOf(recall, `s${recall}`)] });
    for (const id of ['s1', 's4', 'another']) assert.equal(vouches(lease, before, id), false, id);
    assert.equal(vouches(lease, { life, recall: 3 }, 'another'), false);
    assert.equal(vouches(lease, lease.stamp(), 's1'), true);
  });

  test('that is distrusted vouches for nothing until the agent has counted a recall on', () => {
    const lease = begun(5);
    const before = lease.stamp();
    let told = 0;
    lease.onDistrust = () => {
      told += 1;
    };
    const underWay = lease.nextCall();
    lease.distrust();
    assert.equal(told, 1);
    tell(lease, { recall: 5 }, underWay);
    assert.equal(lease.holds(), true);
    assert.equal(vouches(lease), false);
    const renewing = lease.nextCall();
    assert.partialDeepStrictEqual(renewing, { seen: 5, renew: true });
    lease.distrust();
    tell(lease, { recall: 6, renewed: 6 }, renewing);
    assert.equal(vouches(lease), false, 'it was distrusted once more after that call');
    tell(lease, { recall: 7, renewed: 7 });
    assert.equal(vouches(lease, before), false);
    assert.equal(vouches(lease), true);
    assert.equal(lease.nextCall().renew, false);
  });

  test('never vouches for a session that was let go since, however answers are ordered', () => {
    const session = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('recall' as const),
          ids: fc.uniqueArray(session, { maxLength: 2 }),
        }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('call' as const) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver' as const), which: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('stamp' as const), id: session }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('stamp-elsewhere' as const), id: session }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('distrust' as const, 'lapse' as const) }) },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 2, max: 8 }),
        (steps, limit) => {
          const lease = new Lease(limit);
          const { life = '' } = begun().stamp() ?? {};
          let newest = 0;
          const recalls: Recall[] = [];
          const answers: { call: LeaseCall; answer: LeaseAnswer }[] = [];
          /** What was stamped, and whether the gateway has learned since that it may be over. */
          const stamped: { id: string; stamp: ReturnType<Lease['stamp']>; isOver: boolean }[] = [];
          for (const now of steps) {
            if (now.do === 'recall') {
              newest += 1;
              recalls.push({ recall: newest, sessionIds: now.ids, reason: 'lost' });
            } else if (now.do === 'call') {
              const call = lease.nextCall();
              if (call.renew) newest += 1;
              const told = call.seen < 0 ? [] : recalls.filter(({ recall }) => recall > call.seen);
              const renewed = call.renew ? { renewed: newest } : {};
              answers.push({ call, answer: answer({ recall: newest, recalls: told, ...renewed }) });
            } else if (now.do === 'deliver') {
              const [next] = answers.splice(now.which % Math.max(1, answers.length), 1);
              if (!next) continue;
              lease.answered(next.call, next.answer, refOf);
              for (const one of stamped) {
                const { recall: since = -1 } = one.stamp ?? {};
                one.isOver ||= next.answer.recalls.some(
                  ({ recall, sessionIds: ids }) =>
                    recall > since && (ids.length === 0 || ids.includes(one.id)),
                );
              }
            } else if (now.do === 'stamp') {
              stamped.push({ id: now.id, stamp: lease.stamp(), isOver: false });
            } else if (now.do === 'stamp-elsewhere') {
              stamped.push({ id: now.id, stamp: { life, recall: newest }, isOver: false });
            } else {
              if (now.do === 'distrust') lease.distrust();
              else lease.lapse();
              for (const one of stamped) one.isOver = true;
            }
            for (const { id, stamp, isOver } of stamped) {
              assert.ok(!isOver || !lease.vouchesFor(stamp, refOf(id)), `${id} as of ${stamp?.recall}`);
            }
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
