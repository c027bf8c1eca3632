import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  ADMIN_API,
  type BackendStatus,
  type DrainProgress,
  type GatewayReport,
  type StatusAnswer,
} from '../../gateway/admin-api/admin-api-types.ts';

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

type Answer = readonly [status: number, body: unknown];

/**
 * An admin API that answers as a test says, and keeps what it was asked.
 *
 * @param health - what it says to whoever asks whether it is alive; that is not kept. Default: what a gateway says
 */
export async function startScriptedGateway(
  answer: (request: AdminRequest) => Answer,
  { health = { alive: true } }: { health?: object } = {},
) {
  const requests: AdminRequest[] = [];
  const server = createServer(async (incoming, response) => {
    const body = await text(incoming);
    const request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      authorization: incoming.headers.authorization,
      body: body === '' ? undefined : JSON.parse(body),
    };
    const isProbe = request.path === ADMIN_API.health;
    if (!isProbe) requests.push(request);
    const [status, content] = isProbe ? [200, health] : answer(request);
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof content === 'string' ? content : JSON.stringify(content));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function refusal(code: string, message: string): unknown {
  return { error: { code, message, retrySafe: true } };
}

/** A backend that is well, but for what the test says. */
export function backendStatus(more: Partial<BackendStatus> = {}): BackendStatus {
  return {
    id: 'app-1',
    pool: 'shop',
    url: 'http://app-1/',
    agentUrl: 'http://agent-1/',
    weight: 100,
    adminState: 'ready',
    up: true,
    accepting: true,
    appUp: true,
    agentUp: true,
    upSince: 0,
    leased: true,
    inFlight: 2,
    agent: {
      state: 'ok',
      ready: true,
      incarnation: 'i',
      source: 'express',
      sessions: 340,
      dirty: 3,
      unprotected: 0,
      atRisk: 0,
      exposureMs: 120,
      store: 'ok',
      commits: { committed: 1, fenced: 0, stale: 0, ended: 0, failed: 0 },
      journal: { bytes: 0, entries: 0, failures: 0, replayed: 0, lostAtTakeover: 0 },
      reseeded: 0,
    },
    ...more,
  };
}

/** A gateway that has just started, but for what the test says. */
export function gatewayReport(more: Partial<GatewayReport> = {}): GatewayReport {
  return {
    startedAt: 0,
    webSockets: 0,
    storeSettlingMs: 0,
    held: { released: 0, accepted: 0, atRisk: 0, withheld: 0, overflowed: 0 },
    holdTimeMs: 0,
    takeovers: { clean: 0, possiblyLost: 0, tooOld: 0 },
    unprotected: 0,
    errors: {},
    ...more,
  };
}

export function statusOf(...backends: BackendStatus[]): StatusAnswer {
  const accepting = backends.filter((backend) => backend.accepting).length;
  return {
    gateway: gatewayReport(),
    ready: true,
    pools: [{ name: 'shop', application: 'shop', accepting, backends }],
  };
}

/** A drain that began at 1000 and may take a minute. */
export function drainProgress(more: Partial<DrainProgress> = {}): DrainProgress {
  return {
    state: 'draining',
    reason: 'drain',
    startedAt: 1_000,
    deadlineAt: 61_000,
    released: 10,
    remaining: 4,
    inFlight: 1,
    ...more,
  };
}
