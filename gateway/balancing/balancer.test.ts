import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Backend } from '../backends/backend.ts';
import { createBalancer } from './balancer.ts';

const KINDS = ['least-connections', 'round-robin', 'rendezvous'] as const;

function backend(id: string, weight = 100, inFlight = 0): Backend {
  const url = new URL('http://192.0.2.1');
  const made = new Backend({ id, pool: 'shop', url, agentUrl: url, weight });
  made.inFlight = inFlight;
  return made;
}

/** A small generator with a fixed start, so that a distribution is the same in every run (mulberry32). */
function seededRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shares(picks: number, pick: (turn: number) => Backend | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let turn = 0; turn < picks; turn++) {
    const id = pick(turn)?.id ?? 'none';
    counts[id] = (counts[id] ?? 0) + 1 / picks;
  }
  return counts;
}

function assertShares(actual: Record<string, number>, expected: Record<string, number>): void {
  for (const [id, share] of Object.entries(expected)) {
    assert.ok(Math.abs((actual[id] ?? 0) - share) < 0.03, `${id}: ${actual[id]} instead of ${share}`);
  }
}

const backends = fc
  .uniqueArray(
    fc.record({
      id: fc.stringMatching(/^[a-z]{1,8}$/),
      weight: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 })),
      inFlight: fc.nat(50),
    }),
    { selector: ({ id }) => id, maxLength: 8 },
  )
  .map((all) => all.map(({ id, weight, inFlight }) => backend(id, weight, inFlight)));

for (const kind of KINDS) {
  describe(`${kind} balancing`, () => {
    test('picks a candidate that is not excluded and has weight, if there is one', () => {
      fc.assert(
        fc.property(
          backends,
          fc.func(fc.boolean()),
          fc.option(fc.string(), { nil: undefined }),
          fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
          (candidates, isExcluded, sessionKey, chance) => {
            const exclude = new Set(candidates.filter((candidate) => isExcluded(candidate.id)));
            const eligible = candidates.filter(
              (candidate) => candidate.weight > 0 && !exclude.has(candidate),
            );
            const context = { exclude, ...(sessionKey === undefined ? {} : { sessionKey }) };
            const picked = createBalancer(kind, () => chance).pick(candidates, context);
            if (eligible.length === 0) assert.equal(picked, undefined);
            else assert.ok(picked && eligible.includes(picked));
          },
        ),
      );
    });

    test('fills an idle pool by weight', () => {
      const pool = [backend('a', 100), backend('b', 200), backend('c', 700)];
      const balancer = createBalancer(kind, seededRandom());
      const counted = shares(10_000, (turn) => balancer.pick(pool, { sessionKey: `session-${turn}` }));
      assertShares(counted, { a: 0.1, b: 0.2, c: 0.7 });
    });
  });
}

describe('least-connections balancing', () => {
  test('takes the less busy of two, for their weights', () => {
    const balancer = createBalancer('least-connections', seededRandom());
    const pick = (a: Backend, b: Backend) => shares(100, () => balancer.pick([a, b], {}));
    assert.deepEqual(Object.keys(pick(backend('a', 100, 5), backend('b', 100, 4))), ['b']);
    assert.deepEqual(Object.keys(pick(backend('a', 300, 8), backend('b', 100, 3))), ['a']);
  });

  test('never takes the busiest of many', () => {
    const pool = [backend('a', 100, 1), backend('b', 100, 2), backend('busy', 1000, 90)];
    const balancer = createBalancer('least-connections', seededRandom());
    assert.equal(shares(1000, () => balancer.pick(pool, {})).busy, undefined);
  });

  test('keeps requests in flight in proportion to weight', () => {
    const pool = [backend('a', 100), backend('b', 300)];
    const balancer = createBalancer('least-connections', seededRandom());
    for (let turn = 0; turn < 400; turn++) {
      const picked = balancer.pick(pool, {});
      if (picked) picked.inFlight += 1;
    }
    const [a, b] = pool.map(({ inFlight }) => inFlight);
    assert.ok(
      a !== undefined && b !== undefined && Math.abs(a - 100) <= 2 && Math.abs(b - 300) <= 2,
      `${a}, ${b}`,
    );
  });
});

describe('round-robin balancing', () => {
  test('gives everyone exactly its weight in each round, and spreads the turns', () => {
    const pool = [backend('a', 5), backend('b', 1), backend('c', 1)];
    const balancer = createBalancer('round-robin');
    const round = () => Array.from({ length: 7 }, () => balancer.pick(pool, {})?.id).join('');
    assert.equal(round(), 'aabacaa');
    assert.equal(round(), 'aabacaa');
  });

  test('goes on fairly when a candidate leaves and returns', () => {
    const [a, b, c] = [backend('a'), backend('b'), backend('c')];
    const balancer = createBalancer('round-robin');
    for (let turn = 0; turn < 10; turn++) balancer.pick([a, b], {});
    const counted = shares(300, () => balancer.pick([a, b, c], {}));
    assertShares(counted, { a: 1 / 3, b: 1 / 3, c: 1 / 3 });
  });
});

describe('rendezvous balancing', () => {
  test('gives a session the same backend on every gateway, in whatever order they know the pool', () => {
    fc.assert(
      fc.property(backends, fc.string(), (pool, sessionKey) => {
        const pick = (candidates: Backend[]) => createBalancer('rendezvous').pick(candidates, { sessionKey });
        assert.equal(pick(pool), pick([...pool].reverse()));
      }),
    );
  });

  test('moves only the sessions of a backend that goes', () => {
    fc.assert(
      fc.property(backends, fc.nat(7), fc.string(), (pool, gone, sessionKey) => {
        const balancer = createBalancer('rendezvous');
        const before = balancer.pick(pool, { sessionKey });
        const rest = pool.filter((_, index) => index !== gone);
        if (before && rest.includes(before)) assert.equal(balancer.pick(rest, { sessionKey }), before);
      }),
    );
  });

  test('never changes its choice between versions', () => {
    const pool = [backend('app-1'), backend('app-2'), backend('app-3')];
    const chosen = [...'abcdefgh'].map((sessionKey) =>
      createBalancer('rendezvous').pick(pool, { sessionKey })?.id.at(-1),
    );
    assert.equal(chosen.join(''), '12212323');
  });
});
