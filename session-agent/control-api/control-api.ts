import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { context, propagation } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type * as z from 'zod';
import { bearerCheck } from '../../json-api/bearer-check.ts';
import { readJsonBody } from '../../json-api/json-body.ts';
import {
  AGENT_API,
  type AgentReadiness,
  type AgentStatus,
  type ApiErrorBody,
  type LeaseAnswer,
  type LeaseRequest,
} from '../../protocol/agent-api.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { adoptBody, commitBody, leaseBody, releaseBody, releaseIdleBody } from './bodies.ts';
import type { AgentOperations } from './operations.ts';

/**
 * How long an idle connection stays open, milliseconds. The pools of the gateways must close theirs earlier, or they
 * write a request onto a connection that is just being closed.
 */
const KEEP_ALIVE_MS = 75_000;

export interface ControlApiOptions {
  readonly token: string;
  readonly operations: AgentOperations;
  /** Answers `POST /v1/lease`. In no trace: each gateway calls it four times a second. */
  readonly lease: (request: LeaseRequest) => Promise<LeaseAnswer>;
  readonly readiness: () => AgentReadiness;
  readonly status: () => AgentStatus;
  /** Answers `GET /metrics`. Without it there is no such path. */
  readonly metricsHandler?: RequestListener;
  readonly logger: Logger;
}

/** Longest body of a request, bytes. */
const MAX_BODY = 1024 * 1024;
/** That of `releaseIdle`, which names every session that is busy: room for the longest IDs of some 16 000. */
const MAX_RELEASE_BODY = 16 * 1024 * 1024;

interface Route {
  readonly method: 'GET' | 'POST';
  readonly open?: boolean;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> | void;
}

/** The HTTP server that `protocol/agent-api.ts` describes; not listening yet. */
export function createControlApi(options: ControlApiOptions): Server {
  const mayEnter = bearerCheck(options.token);
  const routes = createRoutes(options, mayEnter);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '';
    const route = routes.get(path);
    // Checked before the path, so that strangers cannot map the API.
    if (!route?.open && !mayEnter(request.headers.authorization)) {
      throw wrongToken();
    }
    if (!route) throw new StickshiftError('NOT_FOUND', 'there is no such path');
    if (request.method !== route.method) {
      response.setHeader('allow', route.method);
      throw new StickshiftError('METHOD_REFUSED', `${path} takes ${route.method}`);
    }
    await route.handle(request, response);
  }

  const server = createServer((request, response) => {
    const caller = propagation.extract(context.active(), request.headers);
    context
      .with(caller, () => answer(request, response))
      .catch((error: unknown) => refuse(request, response, error, options.logger));
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxHeadersCount = 100;
  return server;
}

function createRoutes(
  options: ControlApiOptions,
  mayEnter: (authorization: string | undefined) => boolean,
): ReadonlyMap<string, Route> {
  const { operations, lease, readiness, status, metricsHandler } = options;

  /** An operation with a JSON body that names the backend it is meant for. */
  function operation<B extends { readonly backend: string }>(
    schema: z.ZodType<B>,
    run: (body: B) => Promise<unknown>,
    maxBytes = MAX_BODY,
  ): Route {
    return {
      method: 'POST',
      async handle(request, response) {
        const body = await readJsonBody(request, schema, maxBytes);
        const { backend } = readiness();
        if (body.backend !== backend) {
          throw new StickshiftError('AGENT_MISMATCH', `this agent serves ${backend}, not ${body.backend}`);
        }
        sendJson(response, 200, await run(body));
      },
    };
  }

  const routes = new Map<string, Route>([
    [AGENT_API.adopt, operation(adoptBody, operations.adopt)],
    [AGENT_API.release, operation(releaseBody, operations.release)],
    [AGENT_API.releaseIdle, operation(releaseIdleBody, operations.releaseIdle, MAX_RELEASE_BODY)],
    [AGENT_API.commit, operation(commitBody, operations.commit)],
    [AGENT_API.lease, operation(leaseBody, lease)],
    [AGENT_API.status, { method: 'GET', handle: (_, response) => sendJson(response, 200, status()) }],
    [
      AGENT_API.ready,
      {
        method: 'GET',
        open: true,
        handle({ headers: { authorization } }, response) {
          // Probes have no token. Whoever has one means to make calls with it, and should know early that they would be refused.
          if (authorization !== undefined && !mayEnter(authorization)) throw wrongToken();
          const answer = readiness();
          sendJson(response, answer.ready ? 200 : 503, answer);
        },
      },
    ],
    [
      AGENT_API.health,
      { method: 'GET', open: true, handle: (_, response) => sendJson(response, 200, { status: 'ok' }) },
    ],
  ]);
  if (metricsHandler) routes.set(AGENT_API.metrics, { method: 'GET', open: true, handle: metricsHandler });
  return routes;
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, logger: Logger): void {
  const failure = asStickshiftError(error);
  const internal = failure.code === 'INTERNAL';
  if (internal) logger.error({ err: failure }, 'the control API failed');
  else logger.debug({ err: failure }, 'the control API refused a request');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body: ApiErrorBody = {
    error: {
      code: failure.code,
      // What went wrong inside is for the log; what is wrong with the request is for its sender.
      message: internal ? failure.publicMessage : failure.message,
      retrySafe: failure.retrySafe,
    },
  };
  // The rest of an unread body would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  sendJson(response, failure.status, body);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const json = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(json),
    'cache-control': 'no-store',
  });
  response.end(json);
}

function wrongToken(): StickshiftError {
  return new StickshiftError('UNAUTHORIZED', 'a valid bearer token is needed');
}
