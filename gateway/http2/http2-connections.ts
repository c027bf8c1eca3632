import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import type { GatewayConfig } from '../../config/schema.ts';
import { asStickshiftError, type StickshiftError } from '../../protocol/errors.ts';
import type { FullLane } from '../full-lane/full-lane.ts';
import { AnswerWatch } from './answer-watch.ts';
import { Http2Connection } from './connection.ts';
import { asHttp1, type StreamHead } from './stream-head.ts';
import { StreamRequest } from './stream-request.ts';
import { StreamResponse } from './stream-response.ts';

/** Requests under way at once on one connection; what browsers count on, and no more. */
const MAX_STREAMS = 100;

/** Header fields of one request. Browsers send each cookie as a field of its own. */
const MAX_FIELDS = 512;

/** Octets of answers that wait for one client, before it has less time to take them; all of its answers that stream have fewer. */
const CROWD = 16 * 1024 * 1024;

interface Http2ConnectionsOptions {
  readonly settings: GatewayConfig;
  readonly lane: FullLane;
  readonly logger: Logger;
}

/** Serves connections on which a client has chosen HTTP/2: each stream is a request for the full lane. */
export class Http2Connections {
  readonly #options: Http2ConnectionsOptions;
  /** Never listens: it is given its connections. */
  readonly #server: Http2Server;
  readonly #connections = new Set<Http2Connection>();
  readonly #watch: AnswerWatch;
  #closing = false;

  constructor(options: Http2ConnectionsOptions) {
    this.#options = options;
    const { settings, logger } = options;
    const { limits, timeouts } = settings;
    this.#watch = new AnswerWatch({
      // As for Node, 0 is no limit.
      idleTimeoutMs: timeouts.idle || Number.POSITIVE_INFINITY,
      crowdLimit: Math.max(CROWD, 4 * limits.spool),
    });
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        // Counted in another way than ours, 32 bytes to a field; a head between the two is answered with 431, not reset.
        maxHeaderListSize: 2 * limits.head + 32 * MAX_FIELDS,
        enableConnectProtocol: false,
        enablePush: false,
      },
      maxHeaderListPairs: MAX_FIELDS,
      // Floods: of settings, frames that are invalid, streams beyond the limit, and resets (CVE-2023-44487).
      maxSettings: 32,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      streamResetBurst: 200,
      streamResetRate: 20,
      // Buffered by nghttp2 for one connection, MB; beyond it new streams are refused.
      maxSessionMemory: 10,
      // What an app sends twice is sent on twice, as over HTTP/1.1.
      strictSingleValueFields: false,
    });
    this.#server.on('sessionError', (error) => {
      logger.info({ err: error }, 'HTTP/2 connection refused');
    });
  }

  /** Takes a connection over that has completed its handshake with `h2`. */
  serve(socket: TLSSocket): void {
    const begin = (session: ServerHttp2Session) => this.#begin(session, socket);
    // Emitted before `emit` returns, unless the connection is gone already.
    this.#server.on('session', begin);
    this.#server.emit('connection', socket);
    this.#server.off('session', begin);
  }

  /** No request after those under way; each connection ends with the last of its own. */
  close(): void {
    this.#closing = true;
    for (const connection of this.#connections) connection.close();
  }

  #begin(session: ServerHttp2Session, socket: TLSSocket): void {
    const connection = new Http2Connection(session, socket, this.#options.settings.timeouts);
    this.#connections.add(connection);
    session.once('close', () => this.#connections.delete(connection));
    if (this.#closing) {
      connection.close();
      return;
    }
    session.on('stream', (stream, headers, flags, rawHeaders) =>
      this.#serve(
        connection,
        stream as ServerHttp2Stream,
        headers,
        (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
        rawHeaders,
      ),
    );
  }

  #serve(
    connection: Http2Connection,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    ended: boolean,
    rawHeaders: readonly string[],
  ): void {
    const { lane, settings, logger } = this.#options;
    // A reset is told by `close`, to the request and to the answer.
    stream.on('error', () => undefined);
    if (stream.closed || stream.destroyed) {
      // Reset in the same breath: nobody is there to answer, and an answer would throw.
      stream.resume();
      return;
    }
    const { remoteAddress } = connection;
    let head: StreamHead;
    let refused: StickshiftError | undefined;
    try {
      head = asHttp1({ headers, rawHeaders, ended, limit: settings.limits.head });
    } catch (error) {
      refused = asStickshiftError(error);
      head = withoutFields(headers);
    }
    const request = new StreamRequest(stream, head, { remoteAddress, ended });
    const response = new StreamResponse(stream, request, { connection, watch: this.#watch });
    connection.begin(stream, request, response);
    response.once('stalled', () => {
      logger.info({ peer: remoteAddress }, 'answer given up: its client takes none of it');
      connection.stalled(response);
    });
    response.once('finish', () => endRequest(stream, request));
    // The lane and http-proxy-3 know messages of HTTP/1; these two have all that either uses of one.
    const asAnswered = response as unknown as ServerResponse;
    if (refused) {
      lane.refuse(asAnswered, refused);
      return;
    }
    if (headers.expect?.toLowerCase() === '100-continue') stream.additionalHeaders({ ':status': 100 });
    lane.handle(request as unknown as IncomingMessage, asAnswered);
  }
}

/** Enough of a head to be told that it was refused. */
function withoutFields(headers: IncomingHttpHeaders): StreamHead {
  const { ':method': method = '', accept } = headers;
  return {
    method,
    url: '/',
    httpVersion: '1.1',
    headers: accept === undefined ? {} : { accept },
    rawHeaders: [],
  };
}

/**
 * The answer is out. A body that nobody reads on is declined (RFC 9113, 8.1); one that a backend still takes may come to its
 * end, if the client does not pause for too long.
 */
function endRequest(stream: ServerHttp2Stream, request: StreamRequest): void {
  const leave = () => {
    if (!request.complete) stream.close(constants.NGHTTP2_NO_ERROR);
    // A stream with bytes in it that nobody reads would never go.
    stream.resume();
  };
  if (request.complete || request.destroyed || request.listenerCount('data') === 0) {
    leave();
  } else {
    request.once('timeout', leave);
    request.once('close', leave);
  }
}
