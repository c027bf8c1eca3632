import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { GatewayConfig, TlsConfig } from '../../config/schema.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { errorAnswer } from '../answers/error-answer.ts';
import { endWithError } from '../answers/raw-error-answer.ts';
import { checkRequest } from '../forwarding/request-check.ts';

/** Answers plain HTTP with a redirect to the same host and path by https; not listening yet. */
export function createRedirectServer(
  settings: GatewayConfig,
  { port }: NonNullable<TlsConfig['redirect']>,
): Server {
  const server = createServer({
    maxHeaderSize: settings.limits.head,
    headersTimeout: settings.timeouts.head,
    requestTimeout: settings.timeouts.head,
    connectionsCheckingInterval: Math.min(1_000, settings.timeouts.head),
    requireHostHeader: false,
  });
  server.maxConnections = settings.limits.connections;
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    // One redirect is all that anybody gets here, and a body is not waited for.
    response.shouldKeepAlive = false;
    try {
      response.writeHead(308, { Location: secureLocation(request, port), 'Content-Length': 0 }).end();
    } catch (error) {
      const { status, headers, body } = errorAnswer(asStickshiftError(error), {
        accept: request.headers.accept,
      });
      response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body);
    }
  };
  server.on('request', answer);
  server.on('checkContinue', answer);
  server.on('checkExpectation', answer);
  server.on('connect', (_request, socket) =>
    endWithError(socket, new StickshiftError('METHOD_REFUSED', 'CONNECT is for forward proxies')),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.syscall === undefined) endWithError(socket, new StickshiftError('BAD_REQUEST', error.message));
    else socket.destroy();
  });
  return server;
}

/** @throws StickshiftError `BAD_REQUEST`, `METHOD_REFUSED` */
function secureLocation(request: IncomingMessage, port: number): string {
  const { target, headers } = checkRequest(request);
  if (headers.host === undefined) throw new StickshiftError('BAD_REQUEST', 'there is no Host to redirect to');
  const name = headers.host.replace(/:\d+$/, '');
  const path = target === '*' ? '/' : target;
  return `https://${name}${port === 443 ? '' : `:${port}`}${path}`;
}
