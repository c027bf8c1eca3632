import { createServer, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket, type TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import type { GatewayConfig } from '../config/schema.ts';
import { StickshiftError } from '../protocol/errors.ts';
import { endWithError } from './answers/raw-error-answer.ts';
import type { GatewayCounters } from './counters.ts';
import type { FullLane } from './full-lane/full-lane.ts';
import { Http2Connections } from './http2/http2-connections.ts';
import type { Certificates } from './tls/certificates.ts';
import { tlsOptions } from './tls/tls-options.ts';
import { isWebSocketUpgrade, type UpgradeHandler } from './websocket/upgrade-handler.ts';

/** A server that clients connect to. */
export interface ClientServer {
  readonly server: Server;
  /** Emitted by the server for every connection that is ready for its first request; its listeners serve the connection. */
  readonly connectionEvent: 'connection' | 'secureConnection';
  /** Connections on which clients have chosen HTTP/2, where it is offered. */
  readonly http2: Http2Connections | undefined;
}

interface ClientServerParts {
  readonly lane: FullLane;
  readonly upgrades: UpgradeHandler;
  /** With them the server speaks TLS. */
  readonly certificates: Certificates | undefined;
  /** With which TLS sessions can be resumed; `undefined`: only at this server. */
  readonly ticketKeys: Buffer | undefined;
  readonly logger: Logger;
  readonly counters: GatewayCounters;
}

/** The server that clients connect to; not listening yet. */
export function createClientServer(settings: GatewayConfig, parts: ClientServerParts): ClientServer {
  const { lane, upgrades, certificates, logger, counters } = parts;
  const options = {
    maxHeaderSize: settings.limits.head,
    headersTimeout: settings.timeouts.head,
    // Bodies may be of any length; `timeouts.body` bounds their pauses instead.
    requestTimeout: 0,
    keepAliveTimeout: settings.timeouts.keepAlive,
    connectionsCheckingInterval: Math.min(1_000, settings.timeouts.head),
    shouldUpgradeCallback: isWebSocketUpgrade,
    // The request check refuses a missing Host itself, with an answer, a count and a log line like any other refusal.
    requireHostHeader: false,
  };
  const secure =
    settings.tls && certificates
      ? createSecureServer(
          { ...options, ...tlsOptions(settings.tls, certificates, settings.timeouts.head) },
          { ...parts, certificates },
        )
      : undefined;
  const server: Server = secure ?? createServer(options);
  server.maxConnections = settings.limits.connections;
  server.on('request', lane.handle);
  server.on('upgrade', upgrades.handle);
  // Absent this listener Node would answer 417 by itself; with it the request is served and the expectation ignored (RFC 9110, 10.1.1).
  server.on('checkExpectation', lane.handle);
  server.on('connect', (_request, socket) => {
    const failure = new StickshiftError('METHOD_REFUSED', 'CONNECT is for forward proxies');
    counters.countError(failure.code);
    logger.info({ code: failure.code, reason: failure.message }, 'request refused');
    endWithError(socket, failure);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // The connection broke: there is nobody to refuse, and what was under way on it counts as aborted.
    if (error.syscall !== undefined) {
      socket.destroy();
      return;
    }
    const failure = clientFailure(error);
    noteRefusal(socket, failure, logger, counters);
    refuseOnSocket(socket, failure, lane);
  });
  const http2 = secure && settings.tls?.http2 ? new Http2Connections({ settings, lane, logger }) : undefined;
  if (secure && http2) divide(secure, http2);
  return { server, connectionEvent: secure ? 'secureConnection' : 'connection', http2 };
}

/** Gives connections with HTTP/2 to who serves them, and leaves the rest to the server: so HTTP/1.1 is served as it is without. */
function divide(server: TlsServer, http2: Http2Connections): void {
  const http1 = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket) => {
    if (speaksHttp2(socket)) http2.serve(socket);
    else for (const serve of http1) serve.call(server, socket);
  });
}

function speaksHttp2(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.alpnProtocol === 'h2';
}

function createSecureServer(
  options: ServerOptions & TlsOptions,
  {
    certificates,
    ticketKeys,
    logger,
  }: Pick<ClientServerParts, 'ticketKeys' | 'logger'> & { certificates: Certificates },
): TlsServer {
  const server = createTlsServer({ ...options, ...(ticketKeys && { ticketKeys }) });
  certificates.onDefaultChange((renewed) => server.setSecureContext(renewed));
  // Node's own listener would have it answered as a malformed request, by a connection that cannot carry an answer.
  server.removeAllListeners('tlsClientError');
  server.on('tlsClientError', (error, socket) => {
    // Scanners, health checks of load balancers and clients that do not know our authority are nothing to wake anybody for.
    logger.debug({ err: error, peer: socket.remoteAddress }, 'TLS handshake failed');
    socket.destroy();
  });
  return server;
}

/**
 * Has connections of HTTP/1.1 go to `accept` instead of the server's own parser.
 *
 * @returns hands a connection over to that parser after all, with octets that it is to read first
 */
export function divertConnections(
  { server, connectionEvent }: ClientServer,
  accept: (socket: Socket) => void,
): (socket: Socket, bytes: Buffer) => void {
  const own = server.listeners(connectionEvent);
  const serve = (socket: Socket) => {
    for (const listener of own) listener.call(server, socket);
  };
  server.removeAllListeners(connectionEvent);
  server.on(connectionEvent, (socket: Socket) => (speaksHttp2(socket) ? serve(socket) : accept(socket)));
  return (socket, bytes) => {
    socket.unshift(bytes);
    serve(socket);
    // The parser begins to read by itself, but not on a socket that somebody has paused.
    if (socket.isPaused()) socket.resume();
  };
}

/** Ends a connection on which no request can be read. */
export function refuseConnection(
  socket: Socket,
  failure: StickshiftError,
  logger: Logger,
  counters: GatewayCounters,
): void {
  noteRefusal(socket, failure, logger, counters);
  endWithError(socket, failure);
}

function noteRefusal(
  socket: Duplex,
  failure: StickshiftError,
  logger: Logger,
  counters: GatewayCounters,
): void {
  counters.countError(failure.code);
  // Browsers open connections in advance and may never use them.
  const level = socket instanceof Socket && socket.bytesRead === 0 ? 'debug' : 'info';
  logger[level]({ code: failure.code, reason: failure.message }, 'request refused');
}

/**
 * Answers a head or body that did not parse, in its turn: an earlier request on the connection gets its own answer first, and
 * nothing is written into the middle of an answer.
 */
function refuseOnSocket(
  socket: Duplex & { readonly _httpMessage?: ServerResponse | null },
  failure: StickshiftError,
  lane: FullLane,
): void {
  if (socket.destroyed) return;
  const answering = socket._httpMessage;
  if (!answering) endWithError(socket, failure);
  else if (!answering.req.complete) lane.refuse(answering, failure);
  else answering.once('finish', () => refuseOnSocket(socket, failure, lane));
}

function clientFailure(error: NodeJS.ErrnoException): StickshiftError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new StickshiftError('HEAD_TOO_LARGE', 'the head exceeds gateway.limits.head', { cause: error });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new StickshiftError('REQUEST_TIMEOUT', 'the head did not arrive in time', { cause: error });
    default:
      return new StickshiftError('BAD_REQUEST', error.message, { cause: error });
  }
}

/** Every open connection of a server, also those that became WebSockets and that the server itself no longer knows. */
export function openConnections(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Closes the server gently; after `deadlineMs` whatever is still open is cut. */
export async function closeServer(
  server: Server,
  connections: ReadonlySet<Socket>,
  deadlineMs: number,
  closeEndless: () => void,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  closeEndless();
  // A kept-alive connection becomes idle when its last answer has gone out, and would then stay for keepAliveTimeout.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const deadline = setTimeout(() => {
    for (const socket of connections) socket.destroy();
  }, deadlineMs);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
}
