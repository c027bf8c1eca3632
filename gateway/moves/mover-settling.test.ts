import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

describe('while the store settles', () => {
  test('an absent record means nothing, and the client is told when to come back', async () => {
    const { mover, session, backend, world, calls } = moverScene(undefined);
    world.settlingMs = 3_200;
    await assert.rejects(mover.place(session, { ...NO_HINT, bound: backend('app-1') }), {
      code: 'SESSION_UNKNOWN',
      retryAfterMs: 3_200,
    });
    assert.deepEqual(calls, []);
  });

  test('a session without a record is served where it is held', async () => {
    const { mover, session, backend, world } = moverScene(undefined);
    world.settlingMs = 3_200;
    world.adopt = async (_, epoch) => ({ outcome: 'found', epoch, seq: 9, ageMs: 5, size: 100 });
    const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1'), boundEpoch: 3 });
    assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 3, outcome: 'stays' });
  });

  test('a session whose owner confirms it is served', async () => {
    const { mover, session, backend, world } = moverScene({});
    world.settlingMs = 3_200;
    assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
  });

  test('a drained backend keeps its sessions', async () => {
    const { mover, session, backend, world, calls } = moverScene({});
    world.settlingMs = 3_200;
    backend('app-1').adminState = 'drain';
    assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
    assert.deepEqual(calls, ['adopt app-1 if 3: unowned']);
  });

  test('nobody is taken over before it has, if that is in time', async () => {
    const { mover, session, backend, world, calls } = moverScene({});
    backend('app-1').appUp = false;
    backend('app-1').agentUp = false;
    world.settlingMs = 200;
    // What the newer owner writes again meanwhile.
    setTimeout(() => {
      world.record = { ...(world.record as RecordSummary), owner: 'app-3', epoch: 7 };
      world.settlingMs = 0;
    }, 20);
    const placement = await mover.place(session, NO_HINT);
    assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 7, outcome: 'stays' });
    assert.deepEqual(calls, ['adopt app-3 if 7: unowned']);
  });

  test('who would have to be taken over later than a request waits is told when to come back', async () => {
    const { mover, session, backend, world, calls } = moverScene({}, { moveTimeoutMs: 1_000 });
    backend('app-1').appUp = false;
    backend('app-1').agentUp = false;
    world.settlingMs = 4_500;
    const placing = mover.place(session, NO_HINT);
    await assert.rejects(placing, { code: 'SESSION_UNKNOWN', retryAfterMs: 4_500 });
    assert.deepEqual(calls, []);
  });

  test('an agent that has noticed it sooner is asked again', async () => {
    const { mover, session, backend, world, calls } = moverScene({ state: 'released' });
    const obey = world.adopt;
    world.adopt = async (to, ifEpoch) =>
      calls.length < 6 ? { outcome: 'unknown', code: 'STORE_SETTLING' } : obey(to, ifEpoch);
    assert.equal((await mover.place(session, NO_HINT)).outcome, 'moved');
    assert.equal(backend('app-1').adminState, 'ready');
  });
});
