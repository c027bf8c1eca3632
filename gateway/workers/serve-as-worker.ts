import type { MessagePort } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { agentClientFor } from '../agent-client/agent-client-for.ts';
import { poolsOf } from '../backends/pool.ts';
import { LocalDataPlane } from '../data-plane/local-data-plane.ts';
import { BackendIndex } from './backend-index.ts';
import {
  type BackendName,
  type Beginning,
  type FromWorker,
  nameOf,
  type ToWorker,
  type WorkerReport,
} from './messages.ts';
import { ReportedHealth } from './reported-health.ts';

export interface WorkerOptions {
  /** Leads to the control plane. */
  readonly port: Pick<MessagePort, 'postMessage' | 'on' | 'close'>;
  /** The same that the control plane has. */
  readonly config: Config;
  readonly logger: Logger;
  /** Opens the worker's own connection to the store, which is closed here. */
  readonly openStore: () => Promise<SnapshotStore>;
}

/**
 * Serves clients in this thread, as the control plane says; resolves when it has told this worker to stop,
 * or that it cannot.
 */
export async function serveAsWorker({ port, config, logger, openStore }: WorkerOptions): Promise<void> {
  const send = (message: FromWorker) => port.postMessage(message);
  await using opened = new AsyncDisposableStack();
  opened.defer(() => port.close());
  const pools = poolsOf(config);
  const index = new BackendIndex(pools);
  const health = new ReportedHealth(send);
  const begun = Promise.withResolvers<Beginning>();
  const stopped = Promise.withResolvers<void>();
  let dataPlane: LocalDataPlane | undefined;

  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'begin':
        for (const { backend, state } of message.backends) health.learn(index.find(backend), state, false);
        begun.resolve(message);
        break;
      case 'backend':
        health.learn(index.find(message.backend), message.state, message.distrust);
        break;
      case 'close-connections':
        dataPlane?.closeConnections(index.find(message.backend));
        break;
      case 'report':
        if (!dataPlane) break;
        send({
          type: 'report',
          number: message.number,
          report: reportOf(dataPlane, index, message.sessionsOn),
        });
        break;
      case 'app-probed':
        health.probed(message.number, message.isAlive);
        break;
      case 'stop':
        stopped.resolve();
    }
  });

  try {
    const beginning = await Promise.race([begun.promise, stopped.promise]);
    // The start of the gateway has failed elsewhere.
    if (!beginning) return;
    const { listen, connections, ticketKeys } = beginning;
    const store = await openStore();
    opened.defer(() => store.close());
    const { gateway } = config;
    const agentClient = agentClientFor(config);
    opened.defer(() => agentClient.close());
    dataPlane = await LocalDataPlane.create({
      config: { ...config, gateway: { ...gateway, listen, limits: { ...gateway.limits, connections } } },
      ...{ pools, health, agentClient, store, logger },
      shared: { ticketKeys: Buffer.from(ticketKeys) },
    });
    await dataPlane.prepare();
    send({ type: 'listening', address: await dataPlane.listen() });
    await stopped.promise;
    await dataPlane.stop();
  } catch (error) {
    const { code, message } = asStickshiftError(error);
    logger.error({ err: error, code }, 'this worker cannot serve');
    send({ type: 'failed', code, message });
  }
}

function reportOf(
  dataPlane: LocalDataPlane,
  index: BackendIndex,
  sessionsOn: BackendName | undefined,
): WorkerReport {
  return {
    ...dataPlane.figures,
    backends: index.all.map((backend) => ({
      backend: nameOf(backend),
      inFlight: backend.inFlight,
      isLeased: dataPlane.isLeased(backend),
    })),
    sessionsOn: sessionsOn ? [...dataPlane.inFlightSessions(index.find(sessionsOn))] : [],
  };
}
