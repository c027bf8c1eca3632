import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { configSchema } from '../../config/schema.ts';
import type { AdoptAnswer, ReleaseAnswer } from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { RecordSummary } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import { Pool } from '../backends/pool.ts';
import { GatewayCounters } from '../counters.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import { Acknowledgements } from '../hold/acknowledgements.ts';
import type { PoolRouting } from '../routing/router.ts';
import { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import { KnownBindings } from '../sessions/known-bindings.ts';
import { SessionReference } from '../sessions/session-reference.ts';
import { recordedLog } from '../testing/recorded-log.ts';
import { Mover } from './mover.ts';
import type { PlacementHint } from './placement.ts';

const NO_HINT: PlacementHint = { bound: undefined, boundEpoch: 0, exclude: new Set() };

/** A pool of three backends that are up, a record, and agents that obey; each test changes what its story needs. */
function scene(
  record: Partial<RecordSummary> | undefined,
  options: { readonly moveTimeoutMs?: number; readonly maxSnapshotAge?: string } = {},
) {
  const config = configSchema.parse({
    secret: 'a secret for tests, thirty-two long',
    pools: {
      shop: {
        session: { cookie: 'sid' },
        ...(options.maxSnapshotAge && { maxSnapshotAge: options.maxSnapshotAge }),
        backends: Object.fromEntries(
          ['app-1', 'app-2', 'app-3'].map((id) => [
            id,
            { url: `http://${id}.test`, agent: `http://agent.${id}.test` },
          ]),
        ),
      },
    },
  });
  const pool = new Pool('shop', config.pools.shop as never, new Uint8Array(32));
  for (const backend of pool.backends.values()) {
    backend.appUp = true;
    backend.agentUp = true;
  }
  const backend = (id: string) => pool.backends.get(id) as Backend;
  const calls: string[] = [];
  const world = {
    record:
      record &&
      ({
        state: 'active',
        owner: 'app-1',
        epoch: 3,
        seq: 9,
        size: 100,
        committedAt: 0,
        ageMs: 5,
        deadlines: { idleAt: 0, absoluteAt: undefined },
        ...record,
      } as RecordSummary | undefined),
    lookup: async () => world.record,
    settlingMs: 0,
    release: async (): Promise<ReleaseAnswer> => ({ outcome: 'released', epoch: 3, seq: 9 }),
    /** Whoever is asked has the session then. */
    adopt: async (to: Backend, ifEpoch: number): Promise<AdoptAnswer> => ({
      outcome: 'found',
      epoch: to.id === world.record?.owner && world.record.state === 'active' ? ifEpoch : ifEpoch + 1,
      seq: 9,
      ageMs: 5,
      size: 100,
    }),
  };
  const failedAgents: string[] = [];
  const known = new KnownBindings();
  const acknowledged = new Acknowledgements();
  const log = recordedLog();
  const inFlight = new InFlightSessions();
  const counters = new GatewayCounters();
  const routing = {
    pool,
    balancer: { pick: (candidates: readonly Backend[]) => candidates[0] },
  } as unknown as PoolRouting;
  const mover = new Mover({
    store: {
      lookup: () => world.lookup(),
      get settlingMs() {
        return world.settlingMs;
      },
    },
    agentClient: {
      release: (from: Backend) => {
        calls.push(`release ${from.id}`);
        return world.release();
      },
      adopt: (to: Backend, request: { ifEpoch: number; reason: string }) => {
        calls.push(`adopt ${to.id} if ${request.ifEpoch}: ${request.reason}`);
        return world.adopt(to, request.ifEpoch);
      },
    } as unknown as AgentClient,
    health: { agentFailed: (lost: Backend) => failedAgents.push(lost.id) } as unknown as BackendReports,
    routings: new Map([[pool, routing]]),
    known,
    acknowledged,
    inFlight,
    counters,
    logger: log.logger,
    moveTimeoutMs: options.moveTimeoutMs ?? 5_000,
  });
  const session = new SessionReference(pool, 'a-session');
  return {
    world,
    backend,
    calls,
    failedAgents,
    known,
    acknowledged,
    inFlight,
    counters,
    log,
    mover,
    session,
  };
}

test('a session whose owner is up stays where it is', async () => {
  const { mover, session, backend, calls, known } = scene({});
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 3, outcome: 'stays' });
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned'], 'the app may have lost it');
  assert.partialDeepStrictEqual(known.get(session.ref), { epoch: 3 });
});

test('an owner that had lost the session serves it in the epoch in which it got it back', async () => {
  const { mover, session, backend, world, known } = scene({});
  world.adopt = async () => ({ outcome: 'found', epoch: 4, seq: 9, ageMs: 5, size: 100 });
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 4, outcome: 'stays' });
  assert.partialDeepStrictEqual(known.get(session.ref), { epoch: 4 });
});

test('an owner that does not answer for the session loses it to another', async () => {
  for (const trouble of ['SOURCE_FAILED', 'AGENT_UNREACHABLE', 'AGENT_NO_ANSWER'] as const) {
    const { mover, session, backend, world } = scene({});
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
  const { mover, session, world } = scene({});
  world.adopt = async () => ({ outcome: 'unknown', code: 'STORE_TIMEOUT' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

test('a session whose owner and agent are lost is taken over from its last commit', async () => {
  const { mover, session, backend, calls, counters } = scene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const placement = await mover.place(session, NO_HINT);
  assert.partialDeepStrictEqual(placement, { backend: backend('app-2'), epoch: 4, outcome: 'moved' });
  assert.deepEqual(calls, ['adopt app-2 if 3: takeover']);
  assert.equal(counters.moves.takeover, 1);
});

test('a backend that refused this request’s connection counts as lost, whatever its health says', async () => {
  const { mover, session, backend, calls } = scene({});
  const placement = await mover.place(session, { ...NO_HINT, exclude: new Set([backend('app-1')]) });
  assert.equal(placement.backend, backend('app-2'));
  assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: takeover']);
});

test('a drained backend releases the session before another one adopts it', async () => {
  const { mover, session, backend, calls } = scene({});
  backend('app-1').adminState = 'drain';
  await mover.place(session, NO_HINT);
  assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: drain']);
});

test('a drained backend keeps serving a session while one of its requests is under way there', async () => {
  const { mover, session, backend, calls, inFlight } = scene({});
  backend('app-1').adminState = 'drain';
  const leave = inFlight.enter(session.ref, session.id, backend('app-1'));
  const during = await mover.place(session, NO_HINT);
  assert.deepEqual([during.backend, during.outcome], [backend('app-1'), 'stays']);
  assert.deepEqual(
    calls,
    ['adopt app-1 if 3: unowned'],
    'it is asked whether it has the session, not to give it up',
  );
  leave();
  const afterwards = await mover.place(session, NO_HINT);
  assert.deepEqual([afterwards.backend, afterwards.outcome], [backend('app-2'), 'moved']);
});

test('a backend under maintenance keeps no session for the sake of its requests', async () => {
  const { mover, session, backend, calls, inFlight } = scene({});
  backend('app-1').adminState = 'maintenance';
  inFlight.enter(session.ref, session.id, backend('app-1'));
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
  assert.equal(calls[0], 'release app-1');
});

test('a release that waits for requests at another gateway is asked for until they have ended', async () => {
  const { mover, session, backend, calls, world } = scene({});
  backend('app-1').adminState = 'drain';
  const obey = world.release;
  world.release = async () => (calls.length < 6 ? { outcome: 'unknown', code: 'SESSION_MOVING' } : obey());
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
  assert.equal(calls.length, 7, 'more often than a record may change during one move');
});

test('a release that does not come about in time leaves the session where it is', async () => {
  const { mover, session, backend, world, counters } = scene({}, { moveTimeoutMs: 150 });
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'SESSION_MOVING' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_MOVING' });
  assert.equal(counters.moves.drain, 0);
});

test('an owner that is just releasing the session is waited for, and then its record says where to go', async () => {
  const { mover, session, backend, calls, world } = scene({});
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

test('an old owner that cannot be asked is taken over', async () => {
  const { mover, session, backend, world, calls, failedAgents } = scene({});
  backend('app-1').adminState = 'drain';
  world.release = () => Promise.reject(new StickshiftError('AGENT_UNREACHABLE', 'refused'));
  const placement = await mover.place(session, NO_HINT);
  assert.equal(placement.backend, backend('app-2'));
  assert.deepEqual(failedAgents, ['app-1']);
  assert.equal(calls.at(-1), 'adopt app-2 if 3: drain');
});

test('a session that its old owner cannot commit does not move', async () => {
  const { mover, session, backend, world, calls } = scene({});
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'STORE_UNREACHABLE' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
  assert.deepEqual(calls, ['release app-1']);
});

test('a session without a record may go anywhere, and first of all where it is bound', async () => {
  const { mover, session, backend, counters } = scene(undefined);
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-3') });
  assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 0, outcome: 'absent' });
  assert.equal(counters.lookups.absent, 1);
});

test('a logged-out session is as good as none, and looked up again whenever its ID comes', async () => {
  const { mover, session, backend, counters, known } = scene({ state: 'ended' });
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-3') });
  assert.partialDeepStrictEqual(placement, { backend: backend('app-3'), epoch: 3, outcome: 'ended' });
  assert.equal(counters.lookups.ended, 1);
  assert.equal(known.get(session.ref)?.isDoubtful, true);
});

test('nothing is forwarded when the record cannot be read', async () => {
  const { mover, session, world, calls } = scene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN', retrySafe: true });
  assert.deepEqual(calls, []);
});

test('a store that is away does not lock out a session that its bound backend still holds', async () => {
  const { mover, session, backend, world } = scene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-2'), boundEpoch: 3 });
  assert.equal(placement.backend, backend('app-2'));
  assert.equal(placement.outcome, 'stays');
});

test('a request that knows of a newer owner is not content with what an older client’s request was told', async () => {
  const { mover, session, backend, world } = scene({ owner: 'app-2', epoch: 4 });
  const lookup = Promise.withResolvers<RecordSummary | undefined>();
  world.lookup = () => lookup.promise;
  const older = mover.place(session, { ...NO_HINT, bound: backend('app-1'), boundEpoch: 3 });
  const newer = mover.place(session, { ...NO_HINT, bound: backend('app-2'), boundEpoch: 4 });
  lookup.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  assert.equal((await older).backend, backend('app-1'), 'its agent says that it has it');
  assert.equal((await newer).backend, backend('app-2'));
});

test('an owner that lets one question go unanswered is not asked another before its session is taken over', async () => {
  const { mover, session, backend, calls, world } = scene({});
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to === backend('app-1')) throw new StickshiftError('AGENT_NO_ANSWER', 'timed out');
    return obey(to, ifEpoch);
  };
  assert.partialDeepStrictEqual(await mover.place(session, NO_HINT), { backend: backend('app-2'), epoch: 4 });
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned', 'adopt app-2 if 3: takeover']);
});

test('requests of one session share one move', async () => {
  const { mover, session, backend, calls } = scene({});
  backend('app-1').adminState = 'drain';
  const placements = await Promise.all(Array.from({ length: 10 }, () => mover.place(session, NO_HINT)));
  assert.equal(calls.length, 2);
  assert.equal(new Set(placements.map((placement) => placement.backend)).size, 1);
});

test('when another gateway was quicker, its choice is followed', async () => {
  const { mover, session, backend, world } = scene({});
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
  const { mover, session, backend, world, failedAgents } = scene({});
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
  const { mover, session, backend, world } = scene({ epoch: 3 });
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
  const { mover, session, backend, world, calls } = scene({});
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

test('a snapshot that cannot be read stops the request instead of starting an empty session', async () => {
  const { mover, session, backend, world } = scene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  world.adopt = async () => ({ outcome: 'unknown', code: 'SNAPSHOT_CORRUPT' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

test('with nobody to hand over to, a drained backend keeps serving its sessions', async () => {
  const { mover, session, backend, calls } = scene({});
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).adminState = 'drain';
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
  assert.deepEqual(calls, ['adopt app-1 if 3: unowned'], 'it is asked whether it has the session');
});

test('a drained backend that has let the session go meanwhile takes it up again before it is sent a request of it', async () => {
  const { mover, session, backend, world, calls } = scene({});
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
  const { mover, session, backend } = scene(released());
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).adminState = 'maintenance';
  await assert.rejects(mover.place(session, NO_HINT), { code: 'NO_BACKEND' });
});

test('with nobody left at all, the client is told to come back', async () => {
  const { mover, session, backend, calls } = scene({});
  for (const id of ['app-1', 'app-2', 'app-3']) backend(id).appUp = false;
  await assert.rejects(mover.place(session, NO_HINT), { code: 'NO_BACKEND' });
  assert.deepEqual(calls, [], 'a session that has nowhere to go is not taken from where it is');
});

test('a record that changes with every look ends the move instead of going on for ever', async () => {
  const { mover, session, backend, world } = scene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  world.adopt = async () => ({ outcome: 'moved', owner: 'app-1', epoch: 99 });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_MOVING' });
});

test('a new session that a drained backend has not saved yet is saved before it is looked for elsewhere', async () => {
  const { mover, session, backend, world, calls } = scene(undefined);
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
  const { mover, session, backend, world } = scene(undefined);
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
    const { mover, session, backend, world } = scene(record);
    backend('app-1').adminState = 'drain';
    world.release = async () => ({ outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
    const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1') });
    assert.deepEqual([placement.backend, placement.outcome], [backend('app-1'), 'stays']);

    backend('app-1').adminState = 'maintenance';
    const again = mover.place(session, { ...NO_HINT, bound: backend('app-1') });
    await assert.rejects(again, { code: 'SESSION_UNKNOWN' }, 'rather later than without what it holds');
  });
}

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
    const { mover, session, backend, world, calls } = scene({});
    world.release = async () => ({ outcome: 'unknown', code: 'SOURCE_FAILED' });
    const placement = await mover.place(session, { ...NO_HINT, exclude: fail(backend('app-1')) });
    assert.equal(placement.backend, backend('app-2'));
    assert.deepEqual(calls, ['release app-1', 'adopt app-2 if 3: takeover']);
  });
}

test('a session that has outgrown its last snapshot is taken over when its app is gone, and no sooner', async () => {
  const { mover, session, backend, world } = scene({});
  backend('app-1').ejectedUntil = Number.POSITIVE_INFINITY;
  world.release = async () => ({ outcome: 'unknown', code: 'SESSION_UNPROTECTED' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
  backend('app-1').appUp = false;
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-2'));
});

test('an app that only its agent cannot reach keeps its session', async () => {
  const { mover, session, backend, world } = scene({});
  backend('app-1').adminState = 'drain';
  world.release = async () => ({ outcome: 'unknown', code: 'SOURCE_FAILED' });
  await assert.rejects(mover.place(session, NO_HINT), { code: 'SESSION_UNKNOWN' });
});

test('a target whose app does not take the session is passed over', async () => {
  const { mover, session, backend, world } = scene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) =>
    to.id === 'app-2' ? { outcome: 'unknown', code: 'SOURCE_FAILED' } : obey(to, ifEpoch);
  assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-3'));
});

describe('while the store settles', () => {
  test('an absent record means nothing, and the client is told when to come back', async () => {
    const { mover, session, backend, world, calls } = scene(undefined);
    world.settlingMs = 3_200;
    await assert.rejects(mover.place(session, { ...NO_HINT, bound: backend('app-1') }), {
      code: 'SESSION_UNKNOWN',
      retryAfterMs: 3_200,
    });
    assert.deepEqual(calls, []);
  });

  test('a session without a record is served where it is held', async () => {
    const { mover, session, backend, world } = scene(undefined);
    world.settlingMs = 3_200;
    world.adopt = async (_, epoch) => ({ outcome: 'found', epoch, seq: 9, ageMs: 5, size: 100 });
    const placement = await mover.place(session, { ...NO_HINT, bound: backend('app-1'), boundEpoch: 3 });
    assert.partialDeepStrictEqual(placement, { backend: backend('app-1'), epoch: 3, outcome: 'stays' });
  });

  test('a session whose owner confirms it is served', async () => {
    const { mover, session, backend, world } = scene({});
    world.settlingMs = 3_200;
    assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
  });

  test('a drained backend keeps its sessions', async () => {
    const { mover, session, backend, world, calls } = scene({});
    world.settlingMs = 3_200;
    backend('app-1').adminState = 'drain';
    assert.equal((await mover.place(session, NO_HINT)).backend, backend('app-1'));
    assert.deepEqual(calls, ['adopt app-1 if 3: unowned']);
  });

  test('nobody is taken over before it has, if that is in time', async () => {
    const { mover, session, backend, world, calls } = scene({});
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
    const { mover, session, backend, world, calls } = scene({}, { moveTimeoutMs: 1_000 });
    backend('app-1').appUp = false;
    backend('app-1').agentUp = false;
    world.settlingMs = 4_500;
    const placing = mover.place(session, NO_HINT);
    await assert.rejects(placing, { code: 'SESSION_UNKNOWN', retryAfterMs: 4_500 });
    assert.deepEqual(calls, []);
  });

  test('an agent that has noticed it sooner is asked again', async () => {
    const { mover, session, backend, world, calls } = scene({ state: 'released' });
    const obey = world.adopt;
    world.adopt = async (to, ifEpoch) =>
      calls.length < 6 ? { outcome: 'unknown', code: 'STORE_SETTLING' } : obey(to, ifEpoch);
    assert.equal((await mover.place(session, NO_HINT)).outcome, 'moved');
    assert.equal(backend('app-1').adminState, 'ready');
  });
});

describe('a takeover', () => {
  /** A session whose owner is gone, with its agent. */
  function orphan(record: Partial<RecordSummary>, options: Parameters<typeof scene>[1] = {}) {
    const it = scene(record, options);
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
    const { mover, session, backend, world, counters } = scene({});
    backend('app-1').adminState = 'drain';
    world.release = async () => ({ outcome: 'released', epoch: 3, seq: 10 });
    await mover.place(session, NO_HINT);
    assert.deepEqual(counters.takeovers, { clean: 0, possiblyLost: 1, tooOld: 0 });
  });

  test('is not what a planned move is called', async () => {
    const { mover, session, backend, counters } = scene({});
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
    const { mover, session, backend } = scene({ ageMs: 3_600_000 }, { maxSnapshotAge: '1m' });
    backend('app-1').adminState = 'drain';
    assert.equal((await mover.place(session, NO_HINT)).outcome, 'moved');
  });
});

test('a store that is away does not lock out a session that a draining backend still holds', async () => {
  const { mover, session, backend, world } = scene({});
  world.lookup = () => Promise.reject(new StickshiftError('STORE_UNREACHABLE', 'refused'));
  backend('app-2').adminState = 'drain';
  const hint = { ...NO_HINT, bound: backend('app-2'), boundEpoch: 3 };
  assert.equal((await mover.place(session, hint)).backend, backend('app-2'));
  backend('app-2').adminState = 'maintenance';
  await assert.rejects(mover.place(session, hint), { code: 'SESSION_UNKNOWN' });
});

function released(): RecordSummary {
  return {
    ...{ state: 'released', owner: 'app-1', epoch: 1, seq: 1, size: 100, committedAt: 0, ageMs: 5 },
    deadlines: { idleAt: 0, absoluteAt: undefined },
  };
}

/** Records spans as long as the test lasts. */
function recordSpans(t: TestContext): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => {
    trace.disable();
    context.disable();
  });
  return exporter;
}

/** Does `work` within a span of that name, as a request's. */
async function asRequest(name: string, work: () => Promise<unknown>): Promise<void> {
  await trace.getTracer('test').startActiveSpan(name, async (span) => {
    await work();
    span.end();
  });
}

test('a move is in the trace of the request that began it, and linked to by those that waited for it', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend } = scene({});
  backend('app-1').appUp = false;
  await Promise.all(['first', 'second'].map((name) => asRequest(name, () => mover.place(session, NO_HINT))));
  const span = (name: string) => exporter.getFinishedSpans().find((one) => one.name === name);
  const handoff = span('session.handoff')?.spanContext();
  assert.equal(exporter.getFinishedSpans().length, 3);
  assert.equal(span('session.handoff')?.parentSpanContext?.spanId, span('first')?.spanContext().spanId);
  assert.deepEqual(
    span('second')?.links.map((link) => link.context.spanId),
    [handoff?.spanId],
  );
  assert.deepEqual(span('first')?.links, []);
});

test('a hand-off whose target does not answer is a failed span, and the next one tells how it went on', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend, world } = scene({ state: 'released' });
  backend('app-1').appUp = false;
  const obey = world.adopt;
  world.adopt = async (to, ifEpoch) => {
    if (to.id === 'app-2') throw new StickshiftError('AGENT_UNREACHABLE', 'nobody listens');
    return obey(to, ifEpoch);
  };
  await mover.place(session, NO_HINT);
  const handoffs = exporter.getFinishedSpans();
  assert.deepEqual(
    handoffs.map(({ attributes, status }) => [attributes['stickshift.handoff.to'], status]),
    [
      ['app-2', { code: SpanStatusCode.ERROR, message: 'AGENT_UNREACHABLE' }],
      ['app-3', { code: SpanStatusCode.UNSET }],
    ],
  );
});

test('the span of a hand-off says that something is possibly lost', async (t) => {
  const exporter = recordSpans(t);
  const { mover, session, backend, acknowledged } = scene({});
  backend('app-1').appUp = false;
  backend('app-1').agentUp = false;
  acknowledged.committed(session.ref, 10);
  await mover.place(session, NO_HINT);
  const [handoff] = exporter.getFinishedSpans();
  assert.equal(handoff?.attributes['stickshift.handoff.possibly_lost'], true);
});
