import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';

export interface HealthMonitorOptions {
  readonly pools: readonly Pool[];
  readonly agentToken: string;
  readonly logger: Logger;
  /** Milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

/** Keeps `appUp`, `agentUp`, `ejectedUntil`, `incarnation` and `upSince` of every backend true. */
export interface HealthMonitor {
  /** Every backend has been checked once. */
  readonly firstRoundDone: boolean;
  /** Begins checking; resolves when every backend has been checked once, with whatever result. */
  start(): Promise<void>;
  stop(): void;
  /** A request could not connect to the app server. */
  connectFailed(backend: Backend, error: Error): void;
  /** The app server broke a connection before it answered. */
  backendReset(backend: Backend): void;
  /** The app server answered a request. Cheap enough for every request. */
  succeeded(backend: Backend): void;
  /** The agent refused a connection or left a call unanswered. */
  agentFailed(backend: Backend): void;
  /** Calls back after every change of a backend's health; returns how to stop that. */
  onChange(listener: (backend: Backend) => void): () => void;
}

export function createHealthMonitor(_options: HealthMonitorOptions): HealthMonitor {
  throw new StickshiftError('INTERNAL', 'not built yet');
}
