import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { StickshiftError } from '../protocol/errors.ts';
import { deriveSecrets, keyFromText } from '../protocol/secrets.ts';
import type { SnapshotStore } from '../store/snapshot-store.ts';
import { createAdminApi } from './admin-api/admin-api.ts';
import { createAffinityCookies } from './affinity/affinity-cookie.ts';
import { createAgentClient } from './agent-client/agent-client.ts';
import { endWithError } from './answers/raw-error-answer.ts';
import { Pool } from './backends/pool.ts';
import { createBalancer } from './balancing/balancer.ts';
import { GatewayCounters } from './counters.ts';
import { createDrains } from './drain/drains.ts';
import { createRequestHeaders } from './forwarding/request-headers.ts';
import { createTrustedProxies } from './forwarding/trusted-proxies.ts';
import { AnswerRelay } from './full-lane/answer-relay.ts';
import { AttemptSender } from './full-lane/attempt.ts';
import { BackendConnections } from './full-lane/backend-connections.ts';
import { FullLane } from './full-lane/full-lane.ts';
import { createHealthMonitor } from './health/health-monitor.ts';
import { Committer } from './hold/committer.ts';
import { isLoopback, listen, splitAddress } from './listening.ts';
import { publishMetrics } from './metrics.ts';
import { Mover } from './moves/mover.ts';
import { Destinations } from './routing/destinations.ts';
import { PoolMatcher } from './routing/pool-matcher.ts';
import { type PoolRouting, Router } from './routing/router.ts';
import { sessionIdReader } from './session-id/session-id-reader.ts';
import { InFlightSessions } from './sessions/in-flight-sessions.ts';
import { KnownBindings } from './sessions/known-bindings.ts';
import { WebSocketTunnels } from './websocket/tunnels.ts';
import { isWebSocketUpgrade, UpgradeHandler } from './websocket/upgrade-handler.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly store: SnapshotStore;
  /** Answers `GET /metrics` of the admin API. */
  readonly metricsHandler?: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface RunningGateway {
  /** Where clients connect. */
  readonly url: string;
  readonly adminUrl: string;
  /** Stops accepting, lets what is in flight finish within `gateway.timeouts.shutdown`, then resolves. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway; resolves when every backend has been checked once and both ports are open.
 *
 * @throws StickshiftError `PORT_IN_USE`, `CONFIG_INVALID`
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, logger, store } = options;
  const settings = config.gateway;
  const secrets = deriveSecrets(config.secret);
  const pools = Object.entries(config.pools).map(([name, pool]) => new Pool(name, pool, secrets.sessionKey));
  if (pools.length === 0)
    throw new StickshiftError('CONFIG_INVALID', 'no pool is configured; add one under `pools`');

  const affinityKeys = settings.affinity.keys?.map((key) => keyFromText(key, 'affinity-cookie')) ?? [
    secrets.affinity,
  ];
  const routings = new Map<Pool, PoolRouting>();
  for (const pool of pools) {
    routings.set(pool, {
      pool,
      sessionIds: sessionIdReader(pool.config.session),
      affinity: createAffinityCookies({
        keys: affinityKeys,
        config: { ...settings.affinity, cookie: affinityCookieName(settings.affinity.cookie, pool, pools) },
        pool: pool.name,
        backendIds: [...pool.backends.keys()],
      }),
      balancer: createBalancer(pool.config.balance),
    });
  }

  const counters = new GatewayCounters();
  const known = new KnownBindings();
  const inFlight = new InFlightSessions();
  const health = createHealthMonitor({ pools, agentToken: secrets.agentToken, logger });
  const agentClient = createAgentClient({ token: secrets.agentToken, timeoutMs: settings.timeouts.agent });
  const router = new Router({ matcher: new PoolMatcher(pools), routings, known, counters });
  const mover = new Mover({
    store,
    agentClient,
    health,
    routings,
    known,
    inFlight,
    counters,
    logger,
    moveTimeoutMs: settings.timeouts.move,
  });
  const destinations = new Destinations({ router, mover });
  const headers = createRequestHeaders({
    trustedProxies: createTrustedProxies(settings.trustedProxies),
    affinityCookies: pools.map((pool) => affinityCookieName(settings.affinity.cookie, pool, pools)),
  });
  const connections = new BackendConnections();
  const lane = new FullLane({
    router,
    destinations,
    sender: new AttemptSender({ connections, timeouts: settings.timeouts }),
    relay: new AnswerRelay({
      committer: new Committer({
        agentClient,
        health,
        known,
        counters,
        logger,
        holdTimeoutMs: settings.timeouts.hold,
      }),
      known,
      counters,
      logger,
      spoolLimit: settings.limits.spool,
      idleTimeoutMs: settings.timeouts.idle,
    }),
    health,
    inFlight,
    headers,
    counters,
    logger,
    accessLog: settings.accessLog,
    bodyTimeoutMs: settings.timeouts.body,
    measuredBodyLimit: settings.limits.spool,
  });
  const tunnels = new WebSocketTunnels({
    connectTimeoutMs: settings.timeouts.connect,
    handshakeTimeoutMs: settings.timeouts.firstByte,
  });
  const upgrades = new UpgradeHandler({ router, destinations, tunnels, headers, health, counters, logger });

  const drains = createDrains({
    agentClient,
    inFlightSessions: (backend) => inFlight.on(backend),
    closeConnections: (backend) => {
      tunnels.closeTo(backend);
      lane.closeTo(backend);
    },
    logger,
  });

  let stopping = false;
  const startedAt = Date.now();
  const server = createClientServer(settings, lane, upgrades, logger, counters);
  const clients = openConnections(server);
  const adminHost = splitAddress(settings.admin.listen).host;
  const admin = createServer(
    createAdminApi({
      pools,
      store,
      health,
      drains,
      agentClient,
      metricsHandler: options.metricsHandler,
      gatewayStatus: () => ({ startedAt, webSockets: tunnels.count, ...counters }),
      stopping: () => stopping,
      token: settings.admin.token,
      loopback: isLoopback(adminHost),
      logger,
      defaultDeadlineMs: settings.drain.deadline,
    }),
  );

  admin.headersTimeout = settings.timeouts.head;
  publishMetrics(counters, pools);
  await health.start();
  const { host } = splitAddress(settings.listen);
  try {
    const port = await listen(server, settings.listen, 'gateway.listen');
    const adminPort = await listen(admin, settings.admin.listen, 'gateway.admin.listen');
    logger.info(
      {
        listen: `${host}:${port}`,
        admin: `${adminHost}:${adminPort}`,
        pools: pools.map((pool) => pool.name),
      },
      'gateway is up',
    );
    return {
      url: `http://${bracketed(host)}:${port}`,
      adminUrl: `http://${bracketed(adminHost)}:${adminPort}`,
      stop: async () => {
        stopping = true;
        await closeServer(server, clients, settings.timeouts.shutdown, () => {
          tunnels.closeAll();
          lane.stop();
        });
        drains.close();
        health.stop();
        agentClient.close();
        connections.close();
        admin.closeAllConnections();
        admin.close();
        logger.info('gateway has stopped');
      },
    };
  } catch (error) {
    server.close();
    health.stop();
    drains.close();
    agentClient.close();
    throw error;
  }
}

/** Two applications on one host would overwrite each other's binding at every turn if their cookies had one name. */
function affinityCookieName(name: string, pool: Pool, pools: readonly Pool[]): string {
  return pools.length > 1 ? `${name}-${pool.name}` : name;
}

function createClientServer(
  settings: Config['gateway'],
  lane: FullLane,
  upgrades: UpgradeHandler,
  logger: Logger,
  counters: GatewayCounters,
): Server {
  const server = createServer({
    maxHeaderSize: settings.limits.head,
    headersTimeout: settings.timeouts.head,
    // Bodies may be of any length; `timeouts.body` bounds their pauses instead.
    requestTimeout: 0,
    keepAliveTimeout: settings.timeouts.keepAlive,
    connectionsCheckingInterval: Math.min(1_000, settings.timeouts.head),
    shouldUpgradeCallback: isWebSocketUpgrade,
  });
  server.maxConnections = settings.limits.connections;
  server.on('request', lane.handle);
  server.on('upgrade', upgrades.handle);
  // Absent this listener Node would answer 417 by itself; with it the request is served and the expectation ignored (RFC 9110, 10.1.1).
  server.on('checkExpectation', lane.handle);
  server.on('connect', (_request, socket) => {
    const failure = new StickshiftError('METHOD_REFUSED', 'CONNECT is for forward proxies');
    counters.countError(failure.code);
    endWithError(socket, failure);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const failure = clientFailure(error);
    counters.countError(failure.code);
    logger.debug({ err: failure, code: failure.code }, 'request head refused');
    refuseOnSocket(socket, failure, lane);
  });
  return server;
}

/**
 * Answers a head or body that did not parse, in its turn: an earlier request on the connection gets its own answer first, and
 * nothing is written into the middle of an answer.
 */
function refuseOnSocket(
  socket: Duplex & { readonly _httpMessage?: ServerResponse | null },
  failure: StickshiftError,
  lane: FullLane,
): void {
  if (socket.destroyed) return;
  const answering = socket._httpMessage;
  if (!answering) endWithError(socket, failure);
  else if (!answering.req.complete) lane.refuse(answering, failure);
  else answering.once('finish', () => refuseOnSocket(socket, failure, lane));
}

function clientFailure(error: NodeJS.ErrnoException): StickshiftError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new StickshiftError('HEAD_TOO_LARGE', 'the head exceeds gateway.limits.head', { cause: error });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new StickshiftError('REQUEST_TIMEOUT', 'the head did not arrive in time', { cause: error });
    default:
      return new StickshiftError('BAD_REQUEST', error.message, { cause: error });
  }
}

/** Every open connection of a server, also those that became WebSockets and that the server itself no longer knows. */
function openConnections(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Closes the server gently; after `deadlineMs` whatever is still open is cut. */
async function closeServer(
  server: Server,
  connections: ReadonlySet<Socket>,
  deadlineMs: number,
  closeEndless: () => void,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  closeEndless();
  // A kept-alive connection becomes idle when its last answer has gone out, and would then stay for keepAliveTimeout.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const deadline = setTimeout(() => {
    for (const socket of connections) socket.destroy();
  }, deadlineMs);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
