import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

test('a drained backend releases the session before another one adopts it', async () => {
  const { mover, session, backend, calls } = moverScene({});
  backend('app-1').adminState = 'drain';
  await mover.place(session, NO_HINT);
  assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: drain']);
});

test('a drained backend keeps serving a session while one of its requests is under way there', async () => {
  const { mover, session, backend, calls, inFlight } = moverScene({});
  backend('app-1').adminState = 'drain';
  const leave = inFlight.enter(session.ref, session.id, backend('app-1'));
  const during = await mover.place(session, NO_HINT);
  assert.deepEqual([during.backend, during.outcome], [backend('app-1'), 'stays']);
  assert.deepEqual(
    calls,
    ['adopt app-1 if 3: unowned'],
    'it is asked whether it has the session, not to give it up',
  );
  leave(false);
  const afterwards = await mover.place(session, NO_HINT);
  assert.deepEqual([afterwards.backend, afterwards.outcome], [backend('app-2'), 'moved']);
});

test('a backend under maintenance keeps no session for the sake of its requests', async () => {
  const { mover, session, backend, calls, inFlight } = moverScene({});
  backend('app-1').adminState = 'maintenance';
  inFlight.enter(session.ref, session.id, backend('app-1'));
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
  assert.equal(calls[0], 'release app-1');
});

test('a release that waits for requests at another gateway is asked for until they have ended', async () => {
  const { mover, session, backend, calls, world } = moverScene({});
  backend('app-1').adminState = 'drain';
  const obey = world.release;
  world.release = async () => (calls.length < 6 ? { outcome: 'unknown', code: 'SESSION_MOVING' } : obey());
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
  assert.equal(calls.length, 7, 'more often than a record may change during one move');
});

test('a release that does not come about in time leaves the session where it is', async () => {
  const { mover, session, backend, world, counters } = moverScene({}, { moveTimeoutMs: 150 });
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'SESSION_MOVING' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_MOVING' });
  assert.equal(counters.moves.drain, 0);
});

test('an owner that is just releasing the session is waited for, and then its record says where to go', async () => {
  const { mover, session, backend, calls, world } = moverScene({});
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to.id !== 'app-1') return obey(to, ifEpoch);
    if (calls.length === 6) {
      world.record = { ...(world.record as RecordSummary), state: 'released' };
      backend('app-1').adminState = 'drain';
    }
    return { outcome: 'unknown', code: 'SESSION_MOVING' };
  };
  const placement = await mover.place(session, NO_HINT);
  assert.deepEqual([placement.backend, placement.epoch], [backend('app-2'), 4]);
});

test('a session that its old owner cannot commit does not move', async () => {
  const { mover, session, backend, world, calls } = moverScene({});
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
  assert.deepEqual(calls, ['release app-1']);
});

test('with nobody to hand over to, a drained backend keeps serving its sessions', async () => {
  const { mover, session, backend, calls } = moverScene({});
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).adminState = 'drain';
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned'], 'it is asked whether it has the session');
});

test('a drained backend that has let the session go meanwhile takes it up again before it is sent a request of it', async () => {
  const { mover, session, backend, world, calls } = moverScene({});
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).adminState = 'drain';
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (world.record?.state === 'released') return obey(to, ifEpoch);
    world.record = released();
    return { outcome: 'moved', owner: 'app-1', epoch: 3 };
  };
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 2, outcome: 'moved' });
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned', 'adopt app-1 if 1: drain']);
});

test('a backend under maintenance takes nothing up again', async () => {
  const { mover, session, backend } = moverScene(released());
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).adminState = 'maintenance';
  await assert.rejects(mover.place(session, NO_HINT), { code: 'NO_BACKEND' });
});

test('a new session that a drained backend has not saved yet is saved before it is looked for elsewhere', async () => {
  const { mover, session, backend, world, calls } = moverScene(undefined);
  backend('app-1').adminState = 'drain';
  world.release = async () => {
    world.record = released();
    return { outcome: 'released', epoch: 1, seq: 1 };
  };
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1') });
  assert.partialDeepStrictEqual(placement, { backend: backend('app-2'), epoch: 2, outcome: 'moved' });
  assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 1: drain']);
});

test('a drained backend that never had the session is no reason to wait', async () => {
  const { mover, session, backend, world } = moverScene(undefined);
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'not-held' });
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1') });
  assert.equal(placement.outcome, 'absent');
  assert.notEqual(placement.backend, backend('app-1'));
});

for (const [what, record] of [
  ['that was never saved', undefined],
  ['that has outgrown its last snapshot', {}],
] as const) {
  test(`a session ${what} and cannot be saved stays on its drained backend`, async () => {
    const { mover, session, backend, world } = moverScene(record);
    backend('app-1').adminState = 'drain';
    world.release = async () => ({ outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
    const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1') });
    assert.deepEqual([placement.backend, placement.outcome], [backend('app-1'), 'stays']);

    backend('app-1').adminState = 'maintenance';
    const again = mover.place(session, { ...NO_HINT, bound: backend('app-1') });
    await assert.rejects(again, { code: 'SESSION_UNKNOWN' }, 'rather later than without what it holds');
  });
}

function released(): RecordSummary {
  return {
    ...{ state: 'released', owner: 'app-1', epoch: 1, seq: 1, size: 100, committedAt: 0, ageMs: 5 },
    deadlines: { idleAt: 0, absoluteAt: undefined },
  };
}
