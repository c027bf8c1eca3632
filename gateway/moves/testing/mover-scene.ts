import type { AdoptAnswer, ReleaseAnswer } from '../../../protocol/agent-api.ts';
import type { RecordSummary } from '../../../store/snapshot-store.ts';
import type { AgentClient } from '../../agent-client/agent-client.ts';
import type { Backend } from '../../backends/backend.ts';
import { GatewayCounters } from '../../counters.ts';
import type { BackendReports } from '../../health/backend-reports.ts';
import { Acknowledgements } from '../../hold/acknowledgements.ts';
import type { PoolRouting } from '../../routing/router.ts';
import { InFlightSessions } from '../../sessions/in-flight-sessions.ts';
import { KnownBindings } from '../../sessions/known-bindings.ts';
import { SessionReference } from '../../sessions/session-reference.ts';
import { recordedLog } from '../../testing/recorded-log.ts';
import { backendOf, testPool } from '../../testing/test-pool.ts';
import { Mover } from '../mover.ts';
import type { PlacementHint } from '../placement.ts';

/** Of a request that knows nothing of where its session is. */
export const NO_HINT: PlacementHint = { bound: undefined, boundEpoch: 0, exclude: new Set() };

/** A pool of three backends that are up, a record, and agents that obey; each test changes what its story needs. */
export function moverScene(
  record: Partial<RecordSummary> | undefined,
  options: { readonly moveTimeoutMs?: number; readonly maxSnapshotAge?: string } = {},
) {
  const pool = testPool(
    { 'app-1': {}, 'app-2': {}, 'app-3': {} },
    options.maxSnapshotAge ? { maxSnapshotAge: options.maxSnapshotAge } : {},
  );
  for (const backend of pool.backends.values()) {
    backend.appUp = true;
    backend.agentUp = true;
  }
  const backend = (id: string) => backendOf(pool, id);
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
