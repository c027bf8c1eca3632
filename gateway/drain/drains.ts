import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Backend } from '../backends/backend.ts';
import type { DrainProgress } from './drain-progress.ts';

export interface DrainsOptions {
  readonly agentClient: AgentClient;
  /** IDs of the sessions with a request under way on the backend; these are not released. */
  readonly inFlightSessions: (backend: Backend) => Iterable<string>;
  /** Ends what is still under way: WebSockets with 1012, requests by destroying them. */
  readonly closeConnections: (backend: Backend) => void;
  readonly logger: Logger;
}

export interface Drains {
  /** Begins, or begins again with another deadline. The caller has set `adminState`. */
  start(backend: Backend, deadlineMs: number): DrainProgress;
  /** Of the drain under way, or of the last one since the backend was `ready`. */
  progress(backend: Backend): DrainProgress | undefined;
  /** Ends the drain, if there is one, and has the backend's older bindings checked. The caller sets `adminState`. */
  cancel(backend: Backend): void;
  /** Ends all drains; the gateway is stopping. */
  close(): void;
}

export function createDrains(_options: DrainsOptions): Drains {
  throw new StickshiftError('INTERNAL', 'not built yet');
}
