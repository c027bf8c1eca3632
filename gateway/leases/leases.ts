import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Pool } from '../backends/pool.ts';
import type { BackendReports } from '../health/backend-reports.ts';
import type { InFlightSessions } from '../sessions/in-flight-sessions.ts';
import { LeaseKeeper } from './lease-keeper.ts';

export interface LeasesOptions {
  readonly pools: readonly Pool[];
  readonly agentClient: AgentClient;
  readonly health: Pick<BackendReports, 'agentFailed'>;
  readonly inFlight: InFlightSessions;
  readonly logger: Logger;
  /** How long a session's requests may go on after an agent has asked for it back, milliseconds. */
  readonly patienceMs: number;
}

/** Keeps a lease of every backend. */
export interface Leases {
  /** Resolves when every agent has been asked once, with whatever result. */
  start(): Promise<void>;
  /** Gives all leases back; resolves when the agents know, or do not answer. */
  stop(): Promise<void>;
}

export function createLeases(options: LeasesOptions): Leases {
  const name = randomBytes(12).toString('base64url');
  // A name for each pool, new at every start: should two pools share an agent, neither may agree to a recall for the other.
  const keepers = options.pools.flatMap((pool) =>
    [...pool.backends.values()].map(
      (backend) => new LeaseKeeper({ ...options, backend, gateway: `${name}.${pool.name}` }),
    ),
  );
  return {
    start: async () => {
      await Promise.all(keepers.map((keeper) => keeper.start()));
    },
    stop: async () => {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    },
  };
}
