import { availableParallelism } from 'node:os';
import type { GatewayConfig } from '../../config/schema.ts';
import { MOST_WORKERS } from '../../config/sections/gateway.ts';

/** How many threads serve clients; `auto` is one for each core that this process may use. */
export function workerCount(workers: GatewayConfig['workers'], cores = availableParallelism()): number {
  return workers === 'auto' ? Math.min(cores, MOST_WORKERS) : workers;
}
