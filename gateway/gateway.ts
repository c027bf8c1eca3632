import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { isLoopback, localUrl, splitAddress } from '../config/listen-address.ts';
import type { Config } from '../config/schema.ts';
import { listen } from '../json-api/listen.ts';
import { StickshiftError } from '../protocol/errors.ts';
import { deriveSecrets } from '../protocol/secrets.ts';
import type { SnapshotStore } from '../store/snapshot-store.ts';
import { createAdminApi } from './admin-api/admin-api.ts';
import type { AgentClient } from './agent-client/agent-client.ts';
import { agentClientFor } from './agent-client/agent-client-for.ts';
import { type Pool, poolsOf } from './backends/pool.ts';
import type { DataPlane } from './data-plane/data-plane.ts';
import { LocalDataPlane } from './data-plane/local-data-plane.ts';
import { createDrains } from './drain/drains.ts';
import { OperatorStates } from './drain/operator-states.ts';
import { createHealthMonitor, type HealthMonitor } from './health/health-monitor.ts';
import { publishMetrics } from './metrics.ts';
import { createRedirectServer } from './tls/redirect-server.ts';
import { workerCount } from './workers/worker-count.ts';
import type { WorkerThread } from './workers/worker-link.ts';
import { Workers } from './workers/workers.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly store: SnapshotStore;
  /**
   * Starts the thread of a worker, which runs `serveAsWorker` with the same configuration; workers are
   * counted from 1. Needed where `gateway.workers` is more than 1.
   */
  readonly startWorker?: (number: number) => WorkerThread;
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
  const pools = poolsOf(config);
  const { agentToken } = deriveSecrets(config.secret);
  const health = createHealthMonitor({ pools, agentToken, logger });
  const agentClient = agentClientFor(config);
  const dataPlane = await createDataPlane(options, { pools, health, agentClient });
  const drains = createDrains({
    agentClient,
    inFlightSessions: (backend) => dataPlane.inFlightSessions(backend),
    closeConnections: (backend) => dataPlane.closeConnections(backend),
    hasSuccessor: ({ pool }) =>
      pools.some((one) => one.name === pool && one.accepting(Date.now()).length > 0),
    logger,
  });
  const states = new OperatorStates({
    ...{ pools, store, drains, logger },
    changed: (backend) => dataPlane.stateChanged(backend),
  });
  const redirect = settings.tls?.redirect && createRedirectServer(settings, settings.tls.redirect);
  let stopping = false;
  const startedAt = Date.now();
  const adminHost = splitAddress(settings.admin.listen).host;
  const admin = createServer(
    createAdminApi({
      ...{ pools, store, health, drains, agentClient, dataPlane, logger },
      states: {
        set: async (...change) => {
          await states.set(...change);
          // Every thread has heard of it before the operator does.
          await dataPlane.refresh();
        },
      },
      metricsHandler: options.metricsHandler,
      gatewayStatus: () => {
        const { counters, webSockets, certificates, workers } = dataPlane.figures;
        const { storeFailure } = states;
        return {
          startedAt,
          ...(workers && { workers }),
          webSockets,
          ...(storeFailure && { storeFailure }),
          storeSettlingMs: Math.round(store.settlingMs),
          ...(certificates && { certificates }),
          ...counters,
          holdTimeMs: Math.round(counters.holdTimeMs),
        };
      },
      stopping: () => stopping,
      token: settings.admin.token,
      loopback: isLoopback(adminHost),
      defaultDeadlineMs: settings.drain.deadline,
    }),
  );
  admin.headersTimeout = settings.timeouts.head;
  publishMetrics(dataPlane, pools, () => states.storeFailure === undefined);

  const stop = async () => {
    stopping = true;
    redirect?.close();
    redirect?.closeAllConnections();
    await dataPlane.stop();
    states.stop();
    drains.close();
    health.stop();
    agentClient.close();
    admin.closeAllConnections();
    admin.close();
  };

  // Before anybody is served: a gateway that was started anew must send no clients to a drained backend.
  await Promise.all([health.start(), states.start(), dataPlane.prepare()]);
  try {
    const address = await dataPlane.listen();
    const adminAddress = await listen(admin, settings.admin.listen, 'gateway.admin.listen');
    const redirectAddress =
      redirect && settings.tls?.redirect
        ? await listen(redirect, settings.tls.redirect.listen, 'gateway.tls.redirect.listen')
        : undefined;
    const { workers } = dataPlane.figures;
    logger.info(
      {
        listen: address,
        tls: settings.tls !== undefined,
        admin: adminAddress,
        pools: pools.map((pool) => pool.name),
        ...(workers && { workers: workers.running }),
      },
      'gateway is up',
    );
    return {
      url: localUrl(address, settings.tls ? 'https' : 'http'),
      redirectUrl: redirectAddress && localUrl(redirectAddress),
      adminUrl: localUrl(adminAddress),
      stop: async () => {
        await stop();
        logger.info('gateway has stopped');
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One worker is this thread itself: nothing is sent anywhere, and nothing is started. */
async function createDataPlane(
  { config, store, logger, startWorker }: GatewayOptions,
  parts: { pools: readonly Pool[]; health: HealthMonitor; agentClient: AgentClient },
): Promise<DataPlane> {
  const { pools, health } = parts;
  const count = workerCount(config.gateway.workers);
  if (count === 1) return await LocalDataPlane.create({ ...parts, config, store, logger });
  if (!startWorker) throw new StickshiftError('INTERNAL', 'nobody has said how to start a worker');
  return new Workers({ count, settings: config.gateway, pools, health, logger, startWorker });
}
