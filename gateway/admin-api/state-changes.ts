import type { Logger } from 'pino';
import * as z from 'zod';
import { readJsonBody } from '../../json-api/json-body.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Drains } from '../drain/drains.ts';
import { MAX_ADMIN_BODY, type StateAnswer, type StateRequest } from './admin-api-types.ts';
import { findBackend } from './backend-lookup.ts';
import { sendJson } from './json-answers.ts';
import type { Route } from './router.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

const stateRequest = z.strictObject({
  state: z.enum(['ready', 'drain', 'maintenance']),
  deadlineMs: z.int().min(0).max(DAY_MS).exactOptional(),
  pool: z.string().exactOptional(),
}) satisfies z.ZodType<StateRequest>;

/** Sets `ready`, `drain` and `maintenance`, and shows how far a drain has come. */
export function stateRoutes(parts: {
  pools: readonly Pool[];
  drains: Drains;
  logger: Logger;
  defaultDeadlineMs: number;
}): Route[] {
  const { pools, drains, logger, defaultDeadlineMs } = parts;

  const answer = (backend: Backend): StateAnswer => {
    const drain = drains.progress(backend);
    return {
      backend: backend.id,
      pool: backend.pool,
      adminState: backend.adminState,
      ...(drain && { drain }),
    };
  };

  const change = (backend: Backend, { state, deadlineMs = defaultDeadlineMs }: StateRequest) => {
    backend.adminState = state;
    if (state === 'ready') drains.cancel(backend);
    else drains.start(backend, state === 'maintenance' ? 0 : deadlineMs);
  };

  return [
    {
      method: 'POST',
      path: '/v1/backends/:id/state',
      handle: async ({ request, response, id, query }) => {
        const body = await readJsonBody(request, stateRequest, MAX_ADMIN_BODY);
        const backend = findBackend(pools, id, body.pool ?? query.get('pool') ?? undefined);
        const from = backend.adminState;
        change(backend, body);
        logger.info(
          { pool: backend.pool, backend: backend.id, from, to: body.state, by: request.socket.remoteAddress },
          'operator set the state of a backend',
        );
        sendJson(response, body.state === 'ready' ? 200 : 202, answer(backend));
      },
    },
    {
      method: 'GET',
      path: '/v1/backends/:id/drain',
      handle: ({ response, id, query }) => {
        sendJson(response, 200, answer(findBackend(pools, id, query.get('pool') ?? undefined)));
      },
    },
  ];
}
