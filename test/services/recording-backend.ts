import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Reading, readRequests, type StrictRequest } from './strict-http.ts';
import { Watchers } from './watchers.ts';

/** One connection that the backend was given: every byte of it, and what a strict reader makes of them. */
export class RecordedConnection {
  readonly socket: Socket;
  closed = false;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  append(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
  }

  read(): Reading<StrictRequest> {
    return readRequests(this.#bytes);
  }
}

/** What to send back, or `undefined` to leave the request without an answer, or to write one to the socket oneself. */
export type Answer = (request: StrictRequest, connection: RecordedConnection) => string | Buffer | undefined;

export const HEALTH_PATH = '/healthz';

export function plainAnswer(request: StrictRequest, body = 'ok'): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${request.method === 'HEAD' ? '' : body}`;
}

/**
 * An app server on a raw socket: it keeps every byte it is sent and answers each whole request in order. HTTP
 * libraries stay out of it, so that nothing mends what the gateway got wrong.
 */
export class RecordingBackend {
  readonly url: string;
  answer: Answer = (request) => plainAnswer(request);
  /** Called with each connection when bytes have come on it, whole requests or not. */
  heard: (connection: RecordedConnection) => void = () => undefined;
  readonly #server: Server;
  #connections: RecordedConnection[] = [];
  readonly #watchers = new Watchers();

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async start(): Promise<RecordingBackend> {
    const server = createServer({ allowHalfOpen: false });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new RecordingBackend(server);
  }

  /** Connections since the last {@link forget}, without those that carried only health checks. */
  get connections(): readonly RecordedConnection[] {
    return this.#connections.filter((connection) => {
      const { messages, rest } = connection.read();
      return rest !== '' || messages.some(({ target }) => target !== HEALTH_PATH);
    });
  }

  /** Whole requests since the last {@link forget}, without health checks. */
  get requests(): readonly StrictRequest[] {
    return this.#connections
      .flatMap((connection) => connection.read().messages)
      .filter(({ target }) => target !== HEALTH_PATH);
  }

  /** Resolves when `condition` holds; it is looked at again after everything that happens here. */
  until(condition: () => boolean): Promise<void> {
    return this.#watchers.until(condition);
  }

  /** Drops what was recorded and ends the connections, so that the next test starts with none. */
  forget(): void {
    for (const { socket } of this.#connections) socket.destroy();
    this.#connections = [];
    this.answer = (request) => plainAnswer(request);
    this.heard = () => undefined;
  }

  async stop(): Promise<void> {
    this.forget();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    const connection = new RecordedConnection(socket);
    this.#connections.push(connection);
    let answered = 0;
    socket.on('data', (chunk: Buffer) => {
      connection.append(chunk);
      this.heard(connection);
      const { messages } = connection.read();
      for (const request of messages.slice(answered)) {
        answered += 1;
        const answer =
          request.target === HEALTH_PATH ? plainAnswer(request) : this.answer(request, connection);
        if (answer !== undefined) socket.write(answer, 'latin1');
      }
      this.#watchers.look();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      connection.closed = true;
      this.#watchers.look();
    });
    this.#watchers.look();
  }
}
