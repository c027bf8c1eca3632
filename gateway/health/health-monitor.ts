import type { Logger } from 'pino';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { BackendReports } from './backend-reports.ts';
import { publishBackendUp } from './backend-up-gauge.ts';
import { BackendWatch } from './backend-watch.ts';

export interface HealthMonitorOptions {
  readonly pools: readonly Pool[];
  readonly agentToken: string;
  readonly logger: Logger;
  /** Milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

/** Keeps `appUp`, `agentUp`, `ejectedUntil`, `incarnation` and `upSince` of every backend true. */
export interface HealthMonitor extends BackendReports {
  /** Every backend has been checked once. */
  readonly firstRoundDone: boolean;
  /** Begins checking; resolves when every backend has been checked once, with whatever result. */
  start(): Promise<void>;
  stop(): void;
  /** Nothing that requests told is held against the backend: {@link BackendReports.succeeded} would change nothing. */
  isClean(backend: Backend): boolean;
  /** Calls back after every change of a backend's health; returns how to stop that. */
  onChange(listener: (backend: Backend) => void): () => void;
}

export function createHealthMonitor(options: HealthMonitorOptions): HealthMonitor {
  const { pools, agentToken, logger, now = Date.now } = options;
  const listeners = new Set<(backend: Backend) => void>();
  const changed = (backend: Backend) => {
    for (const listener of listeners) listener(backend);
  };
  const watches = new Map<Backend, BackendWatch>();
  for (const pool of pools) {
    for (const backend of pool.backends.values()) {
      watches.set(backend, new BackendWatch({ backend, pool, agentToken, logger, now, changed }));
    }
  }
  let unpublish: () => void = () => undefined;
  let firstRoundDone = false;

  return {
    get firstRoundDone() {
      return firstRoundDone;
    },
    start: async () => {
      unpublish = publishBackendUp([...watches.keys()], now);
      await Promise.all([...watches.values()].map((watch) => watch.start()));
      firstRoundDone = true;
    },
    stop: () => {
      unpublish();
      for (const watch of watches.values()) watch.stop();
    },
    connectFailed: (backend, error) => watches.get(backend)?.appFailed(error.message),
    backendReset: (backend) => watches.get(backend)?.appFailed('connection reset'),
    succeeded: (backend) => watches.get(backend)?.appSucceeded(),
    probeApp: async (backend) => (await watches.get(backend)?.probeApp()) ?? false,
    agentAnswered: (backend, incarnation) => watches.get(backend)?.agentAnswered(incarnation),
    agentFailed: (backend) => watches.get(backend)?.agentFailed(),
    isClean: (backend) => watches.get(backend)?.isClean ?? true,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
