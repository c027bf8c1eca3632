import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface FakeServer {
  readonly url: URL;
  readonly requests: SeenRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Decides what every request from now on gets. */
  answer: (request: SeenRequest, response: ServerResponse) => void;
  /** Breaks every open connection; goes on listening. */
  dropConnections(): void;
  /** Dies: from now on connections are refused. */
  stop(): Promise<void>;
  /** Listens again on the port it had. */
  restart(): Promise<void>;
}

/** An app server or an agent, as far as a test needs one. Ends with the test. */
export async function startFakeServer(
  t: TestContext,
  answer: FakeServer['answer'] = (_, response) => response.end(),
): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const requests: SeenRequest[] = [];
  let connections = 0;
  let port = 0;

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    };
    requests.push(seen);
    fake.answer(seen, response);
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const listen = async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
    await promise;
    port = (server.address() as AddressInfo).port;
  };
  const stop = async () => {
    if (!server.listening) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    fake.dropConnections();
    await promise;
  };
  const fake: FakeServer = {
    get url() {
      return new URL(`http://127.0.0.1:${port}`);
    },
    requests,
    get connections() {
      return connections;
    },
    answer,
    dropConnections: () => {
      for (const socket of sockets) socket.destroy();
    },
    stop,
    restart: listen,
  };
  await listen();
  t.after(stop);
  return fake;
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** A port of the loopback address on which nobody listens. */
export async function refusingUrl(): Promise<URL> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  return new URL(`http://127.0.0.1:${port}`);
}
