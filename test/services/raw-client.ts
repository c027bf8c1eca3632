import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Reading, readResponses, type StrictResponse } from './strict-http.ts';
import { connectByTls } from './tls-client.ts';
import { Watchers } from './watchers.ts';

/** A client on a raw socket: sends any bytes at all and reads the answers strictly. */
export class RawClient {
  readonly socket: Socket;
  closed = false;
  #received: Buffer = Buffer.alloc(0);
  readonly #watchers = new Watchers();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#watchers.look();
    });
    // A server that refuses a request may reset the connection; `close` follows and says so.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.closed = true;
      this.#watchers.look();
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** The same by TLS. */
  static async connectByTls(port: number): Promise<RawClient> {
    return new RawClient(await connectByTls(port));
  }

  get received(): Buffer {
    return this.#received;
  }

  send(bytes: string | Buffer): void {
    if (!this.socket.destroyed)
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** @param methods - methods of the requests sent, in order; beyond them GET is assumed */
  responses(methods: readonly string[] = []): Reading<StrictResponse> {
    return readResponses(this.#received, methods, this.closed);
  }

  /** Resolves when so many final responses are there, or the server has closed the connection. */
  answered(count: number, methods: readonly string[] = []): Promise<void> {
    return this.until(() => this.closed || this.responses(methods).messages.length >= count);
  }

  until(condition: () => boolean): Promise<void> {
    return this.#watchers.until(condition);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
