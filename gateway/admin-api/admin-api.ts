import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import type { AgentClient } from '../agent-client/agent-client.ts';
import type { Pool } from '../backends/pool.ts';
import type { DataPlane } from '../data-plane/data-plane.ts';
import type { Drains } from '../drain/drains.ts';
import type { OperatorStates } from '../drain/operator-states.ts';
import type { HealthMonitor } from '../health/health-monitor.ts';
import { accessGuard } from './access-guard.ts';
import { ADMIN_API, type GatewayReport, type StatusAnswer } from './admin-api-types.ts';
import { findBackend } from './backend-lookup.ts';
import { sendError, sendJson } from './json-answers.ts';
import { probeRoutes, readiness } from './readiness.ts';
import { AdminRouter, type Route } from './router.ts';
import { sessionLookupRoute } from './session-lookup.ts';
import { stateRoutes } from './state-changes.ts';
import { backendStatus, poolStatus } from './status.ts';

export interface AdminApiOptions {
  readonly pools: readonly Pool[];
  readonly store: SnapshotStore;
  readonly health: HealthMonitor;
  readonly drains: Drains;
  readonly states: Pick<OperatorStates, 'set'>;
  readonly agentClient: AgentClient;
  readonly dataPlane: Pick<DataPlane, 'refresh' | 'isLeased'>;
  /** Answers `GET /metrics`; `undefined`: there are none (404). */
  readonly metricsHandler: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** What the gateway says of itself in `/v1/status`. */
  readonly gatewayStatus: () => GatewayReport;
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

/**
 * The admin API as a request listener. `docs/admin-api.md` describes it.
 *
 * @throws StickshiftError `CONFIG_INVALID` when it would be open to the network without a token
 */
export function createAdminApi(options: AdminApiOptions): RequestListener {
  const admit = accessGuard({ token: options.token, loopback: options.loopback });
  const router = new AdminRouter(adminRoutes(options));

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { route, id, query } = findOpenOrAdmitted(request);
    // Probes come often, and show no figures.
    if (!route.open) await options.dataPlane.refresh();
    await route.handle({ request, response, id, query });
  };

  // An outsider learns neither which paths there are nor which methods they take.
  const findOpenOrAdmitted = (request: IncomingMessage) => {
    try {
      const found = router.find(request.method ?? '', request.url ?? '');
      if (!found.route.open) admit(request);
      return found;
    } catch (error) {
      admit(request);
      throw error;
    }
  };

  return (request, response) => {
    answer(request, response).catch((error) => {
      const failure = asStickshiftError(error);
      const refused = failure.code === 'METHOD_REFUSED' && { allow: router.methodsOf(request.url ?? '') };
      refuse(request, response, failure, { ...refused }, options.logger);
    });
  };
}

function adminRoutes(options: AdminApiOptions): Route[] {
  const { pools, health, metricsHandler, gatewayStatus, stopping = () => false } = options;
  return [
    ...probeRoutes({ pools, health, stopping }),
    {
      method: 'GET',
      path: ADMIN_API.metrics,
      handle: ({ request, response }) => {
        if (metricsHandler) metricsHandler(request, response);
        else
          sendJson(response, 404, {
            error: { code: 'NOT_FOUND', message: 'there are no metrics', retrySafe: true },
          });
      },
    },
    {
      method: 'GET',
      path: ADMIN_API.status,
      handle: async ({ response }) => {
        const status: StatusAnswer = {
          gateway: gatewayStatus(),
          ready: readiness({ pools, health, stopping }).ready,
          pools: await Promise.all(pools.map((pool) => poolStatus(pool, options))),
        };
        sendJson(response, 200, status);
      },
    },
    {
      method: 'GET',
      path: '/v1/backends/:id',
      handle: async ({ response, id, query }) => {
        const backend = findBackend(pools, id, query.get('pool') ?? undefined);
        sendJson(response, 200, await backendStatus(backend, options));
      },
    },
    ...stateRoutes(options),
    sessionLookupRoute(options),
  ];
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: StickshiftError,
  headers: Readonly<Record<string, string>>,
  logger: Logger,
): void {
  // Without the message of a refusal: it may repeat what the sender wrote, and that may be a session ID.
  const line = { code: error.code, method: request.method, by: request.socket.remoteAddress };
  if (error.code === 'INTERNAL') logger.error({ ...line, err: error }, 'the admin API failed');
  else if (error.code === 'UNAUTHORIZED') logger.warn(line, 'the admin API refused somebody');
  else logger.debug(line, 'the admin API refused a request');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  sendError(response, error, {
    ...headers,
    // What is left of a body must not be read as the next request.
    ...(!request.complete && { connection: 'close' }),
    ...(error.code === 'UNAUTHORIZED' && { 'www-authenticate': 'Bearer' }),
  });
}
