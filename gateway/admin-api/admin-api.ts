import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Pool } from '../backends/pool.ts';
import type { Drains } from '../drain/drains.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';

export interface AdminApiOptions {
  readonly pools: readonly Pool[];
  readonly store: SnapshotStore;
  readonly health: HealthMonitor;
  readonly drains: Drains;
  readonly agentClient: AgentClient;
  /** Answers `GET /metrics`; `undefined`: there are none (404). */
  readonly metricsHandler: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** What the gateway says of itself in `/v1/status`. */
  readonly gatewayStatus: () => object;
  /** True once the gateway is stopping: `/readyz` says 503 so that no new clients come. */
  readonly stopping?: () => boolean;
  /** Needed unless `loopback`. */
  readonly token?: string | undefined;
  /** The API listens on a loopback address only. */
  readonly loopback: boolean;
  readonly logger: Logger;
  /** Deadline of a drain that names none, milliseconds. */
  readonly defaultDeadlineMs: number;
}

/** @throws StickshiftError `CONFIG_INVALID` when it would be open to the network without a token */
export function createAdminApi(_options: AdminApiOptions): RequestListener {
  throw new StickshiftError('INTERNAL', 'not built yet');
}
