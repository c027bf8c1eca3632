import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';

/** How a server of the demo stands, for people who watch. */
export type BackendState = 'up' | 'starting' | 'draining' | 'drained' | 'down' | 'killed';

export interface BackendView {
  readonly id: string;
  readonly state: BackendState;
  /** Sessions that its agent holds; null while that is not known. */
  readonly sessions: number | null;
  /** Requests, event streams and WebSockets under way; null while that is not known. */
  readonly inFlight: number | null;
}

export const DEEDS = ['kill', 'restart', 'drain', 'ready'] as const;
export type Deed = (typeof DEEDS)[number];

/** What can be done to the servers of a running demo. Rejects with `NOT_FOUND` for a server that it does not have. */
export interface DemoDeeds {
  backends(): Promise<BackendView[]>;
  perform(deed: Deed, id: string): Promise<void>;
}

export interface ControlServer {
  readonly url: string;
  close(): Promise<void>;
}

const MOST_BODY = 1024;
const LONGEST_DELAY_MS = 10_000;

/**
 * Answers the page's buttons and `stickshift demo kill`: `GET /backends`; `POST /backends/:id/:deed`. A deed is
 * answered with 200 when it is done; with `{"afterMs": n}` in the body it is answered with 202 at once and done
 * later, because the server that is to be killed may be the one that passes the answer on.
 */
export async function startControlServer(options: {
  token: string;
  deeds: DemoDeeds;
  /** A deed that was answered already went wrong. */
  onLateError: (error: Error) => void;
}): Promise<ControlServer> {
  const { deeds } = options;
  const delayed = new Set<NodeJS.Timeout>();

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      const { code, status, message } = asStickshiftError(error);
      send(response, status, { error: { code, message } });
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!hasToken(request, options.token)) throw new StickshiftError('UNAUTHORIZED', 'a token is needed');
    const [, place, id, deed, ...more] = (request.url ?? '').split('/');
    if (place !== 'backends' || more.length > 0) throw new StickshiftError('NOT_FOUND', 'no such place');
    if (request.method === 'GET' && id === undefined) {
      return send(response, 200, { backends: await deeds.backends() });
    }
    if (request.method !== 'POST' || !id || !isDeed(deed)) {
      throw new StickshiftError('NOT_FOUND', `no such deed; there are ${DEEDS.join(', ')}`);
    }
    const { afterMs } = await readBody(request);
    if (afterMs === 0) {
      await deeds.perform(deed, id);
      return send(response, 200, { ok: true });
    }
    const timer = setTimeout(() => {
      delayed.delete(timer);
      deeds.perform(deed, id).catch((error: unknown) => options.onLateError(asStickshiftError(error)));
    }, afterMs);
    delayed.add(timer);
    send(response, 202, { ok: true });
  }

  await listenOnLoopback(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const timer of delayed) clearTimeout(timer);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

function isDeed(text: string | undefined): text is Deed {
  return DEEDS.some((deed) => deed === text);
}

function hasToken(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readBody(request: IncomingMessage): Promise<{ afterMs: number }> {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > MOST_BODY) throw new StickshiftError('BAD_REQUEST', 'the body is too long');
  }
  try {
    const { afterMs = 0 } = JSON.parse(text || '{}') as { afterMs?: unknown };
    if (typeof afterMs === 'number' && afterMs >= 0 && afterMs <= LONGEST_DELAY_MS) return { afterMs };
  } catch (error) {
    throw new StickshiftError('BAD_REQUEST', 'the body is not JSON', { cause: error });
  }
  throw new StickshiftError('BAD_REQUEST', `afterMs must be a number from 0 to ${LONGEST_DELAY_MS}`);
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function listenOnLoopback(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
}
