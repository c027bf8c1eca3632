import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { isLoopback, localUrl, splitAddress } from '../config/listen-address.ts';
import type { Config } from '../config/schema.ts';
import { listen } from '../json-api/listen.ts';
import { StickshiftError } from '../protocol/errors.ts';
import { deriveSecrets, keyFromText } from '../protocol/secrets.ts';
import type { SnapshotStore } from '../store/snapshot-store.ts';
import { createAdminApi } from './admin-api/admin-api.ts';
import { createAffinityCookies } from './affinity/affinity-cookie.ts';
import { createAgentClient } from './agent-client/agent-client.ts';
import { Pool } from './backends/pool.ts';
import { createBalancer } from './balancing/balancer.ts';
import { closeServer, createClientServer, openConnections } from './client-server.ts';
import { GatewayCounters } from './counters.ts';
import { AnswerRules } from './delivery/answer-rules.ts';
import { Deliveries } from './delivery/deliveries.ts';
import { createDrains } from './drain/drains.ts';
import { OperatorStates } from './drain/operator-states.ts';
import { createFastLane } from './fast-lane/create-fast-lane.ts';
import { createRequestHeaders } from './forwarding/request-headers.ts';
import { createTrustedProxies } from './forwarding/trusted-proxies.ts';
import { AnswerRelay } from './full-lane/answer-relay.ts';
import { AttemptSender } from './full-lane/attempt.ts';
import { BackendConnections } from './full-lane/backend-connections.ts';
import { FullLane } from './full-lane/full-lane.ts';
import { createHealthMonitor } from './health/health-monitor.ts';
import { Acknowledgements } from './hold/acknowledgements.ts';
import { Committer } from './hold/committer.ts';
import { holdRules } from './hold/hold-rules.ts';
import { AnswerCheck } from './leases/answer-check.ts';
import { createLeases } from './leases/leases.ts';
import { publishMetrics } from './metrics.ts';
import { Mover } from './moves/mover.ts';
import { Destinations } from './routing/destinations.ts';
import { PoolMatcher } from './routing/pool-matcher.ts';
import { type PoolRouting, Router } from './routing/router.ts';
import { sessionIdReader } from './session-id/session-id-reader.ts';
import { InFlightSessions } from './sessions/in-flight-sessions.ts';
import { KnownBindings } from './sessions/known-bindings.ts';
import { Certificates } from './tls/certificates.ts';
import { createRedirectServer } from './tls/redirect-server.ts';
import { WebSocketTunnels } from './websocket/tunnels.ts';
import { UpgradeHandler } from './websocket/upgrade-handler.ts';

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
  /** Where plain HTTP is answered with a redirect to https, if it is. */
  readonly redirectUrl: string | undefined;
  readonly adminUrl: string;
  /** Stops accepting, lets what is in flight finish within `gateway.timeouts.shutdown`, then resolves. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway; resolves when every backend has been checked once, what operators asked for is known (if the store can be
 * read), and all ports are open.
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
      holds: holdRules(pool.config),
    });
  }

  const counters = new GatewayCounters();
  const known = new KnownBindings();
  const acknowledged = new Acknowledgements();
  const inFlight = new InFlightSessions();
  const health = createHealthMonitor({ pools, agentToken: secrets.agentToken, logger });
  const agentClient = createAgentClient({
    token: secrets.agentToken,
    timeoutMs: settings.timeouts.agent,
    releasePatienceMs: settings.timeouts.move / 2,
  });
  const leases = createLeases({
    pools,
    agentClient,
    health,
    inFlight,
    logger,
    patienceMs: settings.timeouts.move / 2,
  });
  const check = new AnswerCheck({ store, agentClient, known, counters, logger });
  const router = new Router({ matcher: new PoolMatcher(pools), routings, known, counters, logger });
  const mover = new Mover({
    store,
    agentClient,
    health,
    routings,
    known,
    acknowledged,
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
  const { accessLog } = settings;
  const deliveries = new Deliveries({
    ...{ router, destinations, health, known, inFlight, counters, logger, accessLog },
  });
  const rules = new AnswerRules({
    committer: new Committer({
      agentClient,
      health,
      known,
      acknowledged,
      counters,
      logger,
      holdTimeoutMs: settings.timeouts.hold,
    }),
    check,
    known,
    logger,
  });
  const lane = new FullLane({
    deliveries,
    sender: new AttemptSender({ connections, timeouts: settings.timeouts }),
    relay: new AnswerRelay({
      rules,
      counters,
      spoolLimit: settings.limits.spool,
      idleTimeoutMs: settings.timeouts.idle,
    }),
    headers,
    counters,
    bodyTimeoutMs: settings.timeouts.body,
    measuredBodyLimit: settings.limits.spool,
  });
  const tunnels = new WebSocketTunnels({
    connectTimeoutMs: settings.timeouts.connect,
    handshakeTimeoutMs: settings.timeouts.firstByte,
  });
  const upgrades = new UpgradeHandler({
    router,
    destinations,
    check,
    tunnels,
    headers,
    health,
    counters,
    logger,
  });

  const drains = createDrains({
    agentClient,
    inFlightSessions: (backend) => inFlight.on(backend),
    closeConnections: (backend) => {
      tunnels.closeTo(backend);
      deliveries.closeTo(backend);
    },
    logger,
  });
  const states = new OperatorStates({ pools, store, drains, logger });

  // Files that are no certificates end the start here, before anybody is asked anything.
  const certificates = settings.tls && (await Certificates.load({ tls: settings.tls, logger }));
  const redirect = settings.tls?.redirect && createRedirectServer(settings, settings.tls.redirect);
  let stopping = false;
  const startedAt = Date.now();
  const front = createClientServer(settings, { lane, upgrades, certificates, logger, counters });
  const { server, http2 } = front;
  const fastLane = settings.fastLane
    ? createFastLane(front, { settings, pools, deliveries, rules, headers, counters, logger })
    : undefined;
  const clients = openConnections(server);
  const adminHost = splitAddress(settings.admin.listen).host;
  const admin = createServer(
    createAdminApi({
      pools,
      store,
      health,
      drains,
      states,
      agentClient,
      metricsHandler: options.metricsHandler,
      gatewayStatus: () => ({
        startedAt,
        webSockets: tunnels.count,
        storeSettlingMs: Math.round(store.settlingMs),
        ...(certificates && { certificates: certificates.status }),
        ...counters,
        holdTimeMs: Math.round(counters.holdTimeMs),
      }),
      stopping: () => stopping,
      token: settings.admin.token,
      loopback: isLoopback(adminHost),
      logger,
      defaultDeadlineMs: settings.drain.deadline,
    }),
  );

  admin.headersTimeout = settings.timeouts.head;
  publishMetrics(counters, [...routings.values()]);
  // Before anybody is served: a backend that is drained must get no clients because a gateway was started anew.
  await Promise.all([health.start(), states.start(), leases.start()]);
  try {
    const address = await listen(server, settings.listen, 'gateway.listen');
    const adminAddress = await listen(admin, settings.admin.listen, 'gateway.admin.listen');
    const redirectAddress =
      redirect && settings.tls?.redirect
        ? await listen(redirect, settings.tls.redirect.listen, 'gateway.tls.redirect.listen')
        : undefined;
    logger.info(
      {
        listen: address,
        tls: certificates !== undefined,
        admin: adminAddress,
        pools: pools.map((pool) => pool.name),
      },
      'gateway is up',
    );
    return {
      url: localUrl(address, certificates ? 'https' : 'http'),
      redirectUrl: redirectAddress && localUrl(redirectAddress),
      adminUrl: localUrl(adminAddress),
      stop: async () => {
        stopping = true;
        redirect?.close();
        redirect?.closeAllConnections();
        await closeServer(server, clients, settings.timeouts.shutdown, () => {
          http2?.close();
          tunnels.closeAll();
          deliveries.stop();
          fastLane?.stop();
        });
        states.stop();
        drains.close();
        await leases.stop();
        health.stop();
        agentClient.close();
        connections.close();
        fastLane?.close();
        admin.closeAllConnections();
        admin.close();
        certificates?.close();
        logger.info('gateway has stopped');
      },
    };
  } catch (error) {
    server.close();
    redirect?.close();
    certificates?.close();
    await leases.stop();
    health.stop();
    states.stop();
    drains.close();
    agentClient.close();
    throw error;
  }
}

/** Two applications on one host would overwrite each other's binding at every turn if their cookies had one name. */
function affinityCookieName(name: string, pool: Pool, pools: readonly Pool[]): string {
  return pools.length > 1 ? `${name}-${pool.name}` : name;
}
