/*
 * A worker of `stickshift gateway`: run in a thread of its own, when `gateway.workers` asks for several. It
 * ends with the thread that has started it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../config/schema.ts';
import { serveAsWorker } from '../gateway/workers/serve-as-worker.ts';
import { deriveSecrets } from '../protocol/secrets.ts';
import { neededReplicas } from '../store/needed-replicas.ts';
import { openStore } from '../store/open-store.ts';
import { tracedStore } from '../store/traced-store.ts';
import { createLogger, type LogLevel } from '../telemetry/logger.ts';
import { startTelemetry } from '../telemetry/start-telemetry.ts';

/** What a worker is given when it is started. */
export interface GatewayWorkerData {
  readonly number: number;
  readonly config: Config;
  readonly logLevel: LogLevel;
  readonly version: string;
  /** Of the gateway: to whoever reads traces, its workers are one. */
  readonly instanceId: string;
}

if (!parentPort) throw new Error('this is no program: "stickshift gateway" runs it in a thread');
const { number, config, logLevel, version, instanceId }: GatewayWorkerData = workerData;
const logger = createLogger({ role: 'gateway', level: logLevel }).child({ worker: number });
const telemetry = await startTelemetry({
  serviceName: 'stickshift-gateway',
  instanceId,
  version,
  env: process.env,
  logger,
});
await serveAsWorker({
  port: parentPort,
  config,
  logger,
  openStore: async () => {
    const store = await openStore(config.store, {
      installation: deriveSecrets(config.secret).installation,
      replicas: neededReplicas(config.pools),
      logger,
    });
    return telemetry.tracing ? tracedStore(store) : store;
  },
});
await telemetry.shutdown();
// Ends this thread only, whatever may still be open in it.
process.exit();
