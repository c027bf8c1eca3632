import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { Backend } from '../backends/backend.ts';
import type { Acknowledgements } from '../hold/acknowledgements.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

test('a session whose owner and agent are lost is taken over from its last commit', async () => {
  const { mover, session, backend, calls, counters } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-2'), epoch: 4, outcome: 'moved' });
  assert.deepEqual(calls, ['adopt app-2 if 3: takeover']);
  assert.equal(counters.moves.takeover, 1);
});

test('a backend that refused this request’s connection counts as lost, whatever its health says', async () => {
  const { mover, session, backend, calls } = moverScene({});
  const placement = await mover.place(session, { ...NO_HINT, exclude: new Set([backend('app-1')]) });
  assert.equal(placement.backend, backend('app-2'));
  assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: takeover']);
});

test('an old owner that cannot be asked is taken over', async () => {
  const { mover, session, backend, world, calls, failedAgents } = moverScene({});
  backend('app-1').adminState = 'drain';
  world.release = () => Promise.reject(new StickshiftError('AGENT_UNREACHABLE', 'refused'));
  const placement = await mover.place(session, NO_HINT);
  assert.equal(placement.backend, backend('app-2'));
  assert.deepEqual(failedAgents, ['app-1']);
  assert.equal(calls.at(-1), 'adopt app-2 if 3: drain');
});

test('an owner that lets one question go unanswered is not asked another before its session is taken over', async () => {
  const { mover, session, backend, calls, world } = moverScene({});
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to === backend('app-1')) throw new StickshiftError('AGENT_NO_ANSWER', 'timed out');
    return obey(to, ifEpoch);
  };
  assert.partialDeepStrictEqual(await mover.place(session, NO_HINT), { backend: backend('app-2'), epoch: 4 });
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned', 'adopt app-2 if 3: takeover']);
});

for (const [what, fail] of [
  ['refuses connections', (app: Backend) => new Set([app])],
  [
    'was ejected',
    (app: Backend) => {
      app.ejectedUntil = Number.POSITIVE_INFINITY;
      return new Set<Backend>();
    },
  ],
] as const) {
  test(`what an agent cannot get from an app that ${what} is taken over from the last commit`, async () => {
    const { mover, session, backend, world, calls } = moverScene({});
    world.release = async () => ({ outcome: 'unknown', code: 'SOURCE_FAILED' });
    const placement = await mover.place(session, { ...NO_HINT, exclude: fail(backend('app-1')) });
    assert.equal(placement.backend, backend('app-2'));
    assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: takeover']);
  });
}

test('a session that has outgrown its last snapshot is taken over when its app is gone, and no sooner', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').ejectedUntil = Number.POSITIVE_INFINITY;
  world.release = async () => ({ outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
  backend('app-1').appUp = false;
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
});

test('an app that only its agent cannot reach keeps its session', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'SOURCE_FAILED' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

describe('a takeover', () => {
  /** A session whose owner is gone, with its agent. */
  function orphan(record: Partial<RecordSummary>, options: Parameters<typeof moverScene>[1] = {}) {
    const it = moverScene(record, options);
    it.backend('app-1').appUp = false;
    it.backend('app-1').agentUp = false;
    return it;
  }

  test('of everything that was acknowledged is clean', async () => {
    const { mover, session, acknowledged, counters, log } = orphan({});
    acknowledged.committed(session.ref, 9);
    await mover.place(session, NO_HINT);
    assert.deepEqual(counters.takeovers, { clean: 1, possiblyLost: 0, tooOld: 0 });
    assert.equal(log.matching(/possibly lost/).length, 0);
  });

  for (const [what, acknowledge] of [
    ['a commit that the store has forgotten', (all: Acknowledgements, ref: string) => all.committed(ref, 10)],
    ['a change that was not committed yet', (all: Acknowledgements, ref: string) => all.pending(ref, 9)],
  ] as const) {
    test(`after ${what} was acknowledged says so, once, with the session’s key and never its ID`, async () => {
      const { mover, session, acknowledged, counters, log } = orphan({});
      acknowledge(acknowledged, session.ref);
      await mover.place(session, NO_HINT);
      assert.deepEqual(counters.takeovers, { clean: 0, possiblyLost: 1, tooOld: 0 });
      const [line] = log.matching(/possibly lost/);
      assert.equal(line?.['stickshift.session.key'], session.key);
      assert.doesNotMatch(JSON.stringify(log.lines), /a-session/);
      await mover.place(session, NO_HINT);
      assert.equal(counters.takeovers.possiblyLost, 1);
    });
  }

  test('is what a move is called, too, that finds less than was released', async () => {
    const { mover, session, backend, world, counters } = moverScene({});
    backend('app-1').adminState = 'drain';
    world.release = async () => ({ outcome: 'released', epoch: 3, seq: 10 });
    await mover.place(session, NO_HINT);
    assert.deepEqual(counters.takeovers, { clean: 0, possiblyLost: 1, tooOld: 0 });
  });

  test('is not what a planned move is called', async () => {
    const { mover, session, backend, counters } = moverScene({});
    backend('app-1').adminState = 'drain';
    await mover.place(session, NO_HINT);
    assert.deepEqual(counters.takeovers, { clean: 0, possiblyLost: 0, tooOld: 0 });
  });

  test('of a snapshot that is older than the pool allows is refused', async () => {
    const { mover, session, calls, counters } = orphan({ ageMs: 60_001 }, { maxSnapshotAge: '1m' });
    await assert.rejects(mover.place(session, NO_HINT), { code: 'SNAPSHOT_TOO_OLD' });
    assert.deepEqual(calls, []);
    assert.deepEqual(counters.takeovers, { clean: 0, possiblyLost: 0, tooOld: 1 });
  });

  test('of a snapshot that is just young enough is not', async () => {
    const { mover, session } = orphan({ ageMs: 60_000 }, { maxSnapshotAge: '1m' });
    assert.equal((await mover.place(session, NO_HINT)).outcome, 'moved');
  });

  test('is refused for its age; a planned move is not, for nothing is missing', async () => {
    const { mover, session, backend } = moverScene({ ageMs: 3_600_000 }, { maxSnapshotAge: '1m' });
    backend('app-1').adminState = 'drain';
    assert.equal((await mover.place(session, NO_HINT)).outcome, 'moved');
  });
});
