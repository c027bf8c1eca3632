import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

test('a session whose owner is up stays where it is', async () => {
  const { mover, session, backend, calls, known } = moverScene({});
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 3, outcome: 'stays' });
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned'], 'the app may have lost it');
  assert.partialDeepStrictEqual(known.get(session.ref), { epoch: 3 });
});

test('an owner that had lost the session serves it in the epoch in which it got it back', async () => {
  const { mover, session, backend, world, known } = moverScene({});
  world.adopt = async () => ({ outcome: 'found', epoch: 4, seq: 9, ageMs: 5, size: 100 });
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 4, outcome: 'stays' });
  assert.partialDeepStrictEqual(known.get(session.ref), { epoch: 4 });
});

test('an owner that does not answer for the session loses it to another', async () => {
  for (const trouble of ['SOURCE_FAILED', 'AGENT_UNREACHABLE', 'AGENT_NO_ANSWER'] as const) {
    const { mover, session, backend, world } = moverScene({});
    const obey = world.adopt;
    world.adopt = async (to, ifEpoch) => {
      if (to.id !== 'app-1') return obey(to, ifEpoch);
      if (trouble === 'SOURCE_FAILED') return { outcome: 'unknown', code: trouble };
      throw new StickshiftError(trouble, 'away');
    };
    const placement = await mover.place(session, NO_HINT);
    assert.deepEqual([placement.backend, placement.outcome], [backend('app-2'), 'moved'], trouble);
  }
});

test('an owner whose store is away is not guessed about', async () => {
  const { mover, session, world } = moverScene({});
  world.adopt = async () => ({ outcome: 'unknown', code: 'STORE_TIMEOUT' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

test('a session without a record may go anywhere, and first of all where it is bound', async () => {
  const { mover, session, backend, counters } = moverScene(undefined);
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-3') });
  assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 0, outcome: 'absent' });
  assert.equal(counters.lookups.absent, 1);
});

test('a logged-out session is as good as none, and looked up again whenever its ID comes', async () => {
  const { mover, session, backend, counters, known } = moverScene({ state: 'ended' });
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-3') });
  assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 3, outcome: 'ended' });
  assert.equal(counters.lookups.ended, 1);
  assert.equal(known.get(session.ref)?.isDoubtful, true);
});

test('nothing is forwarded when the record cannot be read', async () => {
  const { mover, session, world, calls } = moverScene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN', retrySafe: true });
  assert.deepEqual(calls, []);
});

test('a store that is away does not lock out a session that its bound backend still holds', async () => {
  const { mover, session, backend, world } = moverScene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-2'), boundEpoch: 3 });
  assert.equal(placement.backend, backend('app-2'));
  assert.equal(placement.outcome, 'stays');
});

test('a store that is away does not lock out a session that a draining backend still holds', async () => {
  const { mover, session, backend, world } = moverScene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  backend('app-2').adminState = 'drain';
  const hint = { ...NO_HINT, bound: backend('app-2'), boundEpoch: 3 };
  assert.equal((await mover.place(session, hint)).backend, backend('app-2'));
  backend('app-2').adminState = 'maintenance';
  await assert.rejects(mover.place(session, hint), { code: 'SESSION_UNKNOWN' });
});

test('a request that knows of a newer owner is not content with what an older client’s request was told', async () => {
  const { mover, session, backend, world } = moverScene({ owner: 'app-2', epoch: 4 });
  const lookup = Promise.withResolvers<RecordSummary | undefined>();
  world.lookup = () => lookup.promise;
  const older = mover.place(session, { ...NO_HINT, bound: backend('app-1'), boundEpoch: 3 });
  const newer = mover.place(session, { ...NO_HINT, bound: backend('app-2'), boundEpoch: 4 });
  lookup.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  assert.equal((await older).backend, backend('app-1'), 'its agent says that it has it');
  assert.equal((await newer).backend, backend('app-2'));
});

test('requests of one session share one move', async () => {
  const { mover, session, backend, calls } = moverScene({});
  backend('app-1').adminState = 'drain';
  const placements = await Promise.all(Array.from({ length: 10 }, () => mover.place(session, NO_HINT)));
  assert.equal(calls.length, 2);
  assert.equal(new Set(placements.map((placement) => placement.backend)).size, 1);
});

test('a record that changes with every look ends the move instead of going on for ever', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  world.adopt = async () => ({ outcome: 'moved', owner: 'app-1', epoch: 99 });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_MOVING' });
});
