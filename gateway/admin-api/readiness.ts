import type { Pool } from '../backends/pool.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { ADMIN_API, type ReadinessAnswer } from './admin-api-types.ts';
import { sendJson } from './json-answers.ts';
import type { Route } from './router.ts';

interface ReadinessParts {
  readonly pools: readonly Pool[];
  readonly health: HealthMonitor;
  readonly stopping: () => boolean;
}

/**
 * Ready: every backend has been checked once, at least one of any pool is up, and the gateway is not stopping. One pool without
 * a backend does not make the gateway unready: all gateways would say so at once, and whatever stands before them would take
 * the healthy pools off the air as well.
 */
export function readiness({ pools, health, stopping }: ReadinessParts): ReadinessAnswer {
  if (stopping()) return { ready: false, reason: 'stopping' };
  if (!health.firstRoundDone) return { ready: false, reason: 'the first checks are under way' };
  const now = Date.now();
  const anyUp = pools.some((pool) => [...pool.backends.values()].some((backend) => backend.isUp(now)));
  return anyUp ? { ready: true } : { ready: false, reason: 'no backend is up' };
}

/** For probes, which rarely have a token: open to everybody, and naming nothing. */
export function probeRoutes(parts: ReadinessParts): Route[] {
  return [
    {
      method: 'GET',
      path: ADMIN_API.health,
      open: true,
      handle: ({ response }) => sendJson(response, 200, { alive: true }),
    },
    {
      method: 'GET',
      path: ADMIN_API.ready,
      open: true,
      handle: ({ response }) => {
        const answer = readiness(parts);
        sendJson(response, answer.ready ? 200 : 503, answer);
      },
    },
  ];
}
