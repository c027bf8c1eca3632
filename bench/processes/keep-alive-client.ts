import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface ClientAnswer {
  /** 0: the connection broke before the answer was whole. */
  readonly status: number;
  readonly head: string;
}

export interface ClientOptions {
  /** Whatever certificate the server has. Default: false. */
  readonly tls?: boolean;
  /** Source address. Default: the system's choice. */
  readonly localAddress?: string;
}

/**
 * One connection, one request at a time: the cheapest client there is, so that a load generator leaves the CPU to what is
 * measured. It reads no body, and takes only answers with a `Content-Length`.
 */
export class KeepAliveClient {
  broken = false;
  readonly #socket: Socket;
  #received = '';
  #answered: ((answer: ClientAnswer) => void) | undefined;

  constructor(port: number, { tls = false, localAddress }: ClientOptions = {}) {
    const to = { port, host: '127.0.0.1', noDelay: true, ...(localAddress && { localAddress }) };
    this.#socket = tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => {
      this.broken = true;
      this.#answered?.({ status: 0, head: '' });
    });
  }

  /** @param request - bytes of a whole request */
  send(request: string): Promise<ClientAnswer> {
    if (this.broken) return Promise.resolve({ status: 0, head: '' });
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.toString('latin1');
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (this.#received.length < end + 4 + length) return;
    this.#received = this.#received.slice(end + 4 + length);
    this.#answered?.({ status: Number(head.slice(9, 12)), head });
  }
}
