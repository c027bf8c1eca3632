import type { Logger } from 'pino';
import * as z from 'zod';
import { readJsonBody } from '../../json-api/json-body.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { Drains } from '../drain/drains.ts';
import type { OperatorStates } from '../drain/operator-states.ts';
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
  states: Pick<OperatorStates, 'set'>;
  logger: Logger;
  defaultDeadlineMs: number;
}): Route[] {
  const { pools, drains, states, logger, defaultDeadlineMs } = parts;

  const answer = (backend: Backend): StateAnswer => {
    const drain = drains.progress(backend);
    return {
      backend: backend.id,
      pool: backend.pool,
      adminState: backend.adminState,
      ...(drain && { drain }),
    };
  };

  const change = async (backend: Backend, { state, deadlineMs = defaultDeadlineMs }: StateRequest) => {
    try {
      await states.set(backend, state, deadlineMs);
    } catch (error) {
      throw notSet(backend, asStickshiftError(error));
    }
  };

  return [
    {
      method: 'POST',
      path: '/v1/backends/:id/state',
      handle: async ({ request, response, id, query }) => {
        const body = await readJsonBody(request, stateRequest, MAX_ADMIN_BODY);
        const backend = findBackend(pools, id, body.pool ?? query.get('pool') ?? undefined);
        const from = backend.adminState;
        await change(backend, body);
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

/**
 * Refused rather than done at this gateway alone: the others would go on sending it clients, and no session can be released
 * into a store that is away.
 */
function notSet(backend: Backend, cause: StickshiftError): StickshiftError {
  const certainty = cause.retrySafe
    ? 'was not changed'
    : 'may or may not have been changed; look at the status, and set it again';
  const message = `the gateways share it through the store, so the state of ${backend.id} ${certainty} (${cause.message})`;
  return new StickshiftError(cause.code, message, { cause });
}
