import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { SessionKey } from '../../../protocol/session-key.ts';
import type { RecordSummary, SnapshotStore } from '../../../store/snapshot-store.ts';
import { createAgentClient } from '../../agent-client/agent-client.ts';
import type { Backend } from '../../backends/backend.ts';
import { GatewayCounters } from '../../counters.ts';
import { createDrains } from '../../drain/drains.ts';
import { OperatorStates } from '../../drain/operator-states.ts';
import type { HealthMonitor } from '../../health/health-monitor.ts';
import { json, startFakeServer } from '../../testing/fake-server.ts';
import { type RawRequest, rawRequest } from '../../testing/raw-request.ts';
import { recordedLog } from '../../testing/recorded-log.ts';
import { StateStore } from '../../testing/state-store.ts';
import { backendOf, testPool } from '../../testing/test-pool.ts';
import { type AdminApiOptions, createAdminApi } from '../admin-api.ts';
import type { ApiErrorBody } from '../admin-api-types.ts';

/** What the agent of `app-1` says unless a test has it say something else. */
export const AGENT_STATUS = {
  backend: 'app-1',
  application: 'shop',
  incarnation: 'i-1',
  ready: true,
  source: 'express',
  sessions: 3,
  dirty: 1,
  unprotected: 1,
  atRisk: 2,
  exposureMs: 12,
  store: 'ok',
  commits: { committed: 5, fenced: 0, stale: 0, ended: 0, failed: 0 },
  journal: { bytes: 0, entries: 0, failures: 0, replayed: 0, lostAtTakeover: 0 },
  reseeded: 0,
};

const { held, takeovers, errors } = new GatewayCounters();
/** What the gateway says of itself unless a test has it say something else. */
export const GATEWAY_REPORT = {
  startedAt: 1,
  webSockets: 0,
  storeSettlingMs: 0,
  held,
  holdTimeMs: 0,
  takeovers,
  unprotected: 0,
  errors,
};

type Lookup = (key: SessionKey) => Promise<RecordSummary | undefined>;

/** An admin API with a pool of two backends; only the agent of the first is there. */
export async function adminApiScene(
  t: TestContext,
  options: Partial<Omit<AdminApiOptions, 'health'>> & { lookup?: Lookup; firstRoundDone?: boolean } = {},
) {
  const agent = await startFakeServer(t, ({ method }, response) =>
    json(response, 200, method === 'GET' ? AGENT_STATUS : { released: 0, remaining: 0, unprotected: 0 }),
  );
  const pool = testPool({ 'app-1': { agent: agent.url }, 'app-2': {} });
  const pools = options.pools ?? [pool];
  const backend = backendOf(pool, 'app-1');
  const log = recordedLog();
  const agentClient = createAgentClient({ token: 'agent-token', timeoutMs: 5_000 });
  const drains = createDrains({
    agentClient,
    inFlightSessions: () => [],
    closeConnections: () => undefined,
    hasSuccessor: () => true,
    logger: log.logger,
    noticeMs: 0,
  });
  const stateStore = new StateStore();
  const states = new OperatorStates({ pools, store: stateStore, drains, logger: log.logger });
  const { lookup = async () => undefined, firstRoundDone = true, ...rest } = options;
  const server = createServer(
    createAdminApi({
      pools,
      store: { lookup } as Partial<SnapshotStore> as SnapshotStore,
      health: { firstRoundDone } as Partial<HealthMonitor> as HealthMonitor,
      drains,
      states,
      agentClient,
      dataPlane: { refresh: async () => undefined, isLeased: ({ lease }) => lease.holds() },
      metricsHandler: undefined,
      gatewayStatus: () => GATEWAY_REPORT,
      loopback: true,
      logger: log.logger,
      defaultDeadlineMs: 60_000,
      ...rest,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    drains.close();
    agentClient.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    agent,
    pool,
    backend,
    drains,
    stateStore,
    log,
    url,
    port,
    ask: (path: string, request?: RawRequest) => rawRequest(url + path, request),
    post: (path: string, body: object) => rawRequest(url + path, { method: 'POST', body }),
  };
}

export function up(backend: Backend): void {
  backend.appUp = true;
  backend.agentUp = true;
}

/** The error in the body of an answer. */
export const errorOf = ({ json: body }: { json: unknown }) => (body as ApiErrorBody).error;
