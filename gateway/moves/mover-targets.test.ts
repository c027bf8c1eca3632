import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import { moverScene, NO_HINT } from './testing/mover-scene.ts';

test('when another gateway was quicker, its choice is followed', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to.id === 'app-3') return obey(to, ifEpoch);
    world.record = { ...(world.record as RecordSummary), owner: 'app-3', epoch: 4 };
    return { outcome: 'moved', owner: 'app-3', epoch: 4 };
  };
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 4, outcome: 'stays' });
});

test('a target whose agent is gone is passed over', async () => {
  const { mover, session, backend, world, failedAgents } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = (to, ifEpoch) =>
    to.id === 'app-2'
      ? Promise.reject(new StickshiftError('AGENT_UNREACHABLE', 'refused'))
      : obey(to, ifEpoch);
  const placement = await mover.place(session, NO_HINT);
  assert.equal(placement.backend, backend('app-3'));
  assert.deepEqual(failedAgents, ['app-2']);
});

test('a target that claims to have the session without having adopted it is passed over', async () => {
  const { mover, session, backend, world } = moverScene({ epoch: 3 });
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) =>
    to.id === 'app-2' ? { outcome: 'found', epoch: 3, seq: 9, ageMs: 5, size: 100 } : obey(to, ifEpoch);
  const placement = await mover.place(session, NO_HINT);
  assert.equal(placement.backend, backend('app-3'));
  assert.equal(placement.epoch, 4);
});

test('an adopt that was not answered is asked for again at the same target, for it may have happened', async () => {
  const { mover, session, backend, world, calls } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = (to, ifEpoch) => {
    if (calls.length > 1) return obey(to, ifEpoch);
    world.record = { ...(world.record as RecordSummary), owner: 'app-2', epoch: 4 };
    return Promise.reject(new StickshiftError('AGENT_NO_ANSWER', 'timed out'));
  };
  const placement = await mover.place(session, NO_HINT);
  assert.equal(placement.backend, backend('app-2'));
  assert.equal(placement.outcome, 'moved');
  assert.deepEqual(calls, ['adopt app-2 if 3: takeover', 'adopt app-2 if 4: takeover']);
});

test('a target whose app does not take the session is passed over', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) =>
    to.id === 'app-2' ? { outcome: 'unknown', code: 'SOURCE_FAILED' } : obey(to, ifEpoch);
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-3'));
});

test('a snapshot that cannot be read stops the request instead of starting an empty session', async () => {
  const { mover, session, backend, world } = moverScene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  world.adopt = async () => ({ outcome: 'unknown', code: 'SNAPSHOT_CORRUPT' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

test('with nobody left at all, the client is told to come back', async () => {
  const { mover, session, backend, calls } = moverScene({});
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).appUp = false;
  await assert.rejects(mover.place(session, NO_HINT), { code: 'NO_BACKEND' });
  assert.deepEqual(calls, [], 'a session that has nowhere to go is not taken from where it is');
});
