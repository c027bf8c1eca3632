import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { getRequest } from './bound-client.ts';

const PIECE = Buffer.alloc(256 * 1024, 'x');
const RECEIVE_BUFFER = 256 * 1024;

/** One connection for large bodies: received into one buffer and not looked at, sent from one buffer. */
export class BodyClient {
  readonly #socket: Socket;
  readonly #cookie: string;
  #head = '';
  #left = 0;
  #answered: ((whole: boolean) => void) | undefined;

  constructor(port: number, cookie: string) {
    this.#cookie = cookie;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.alloc(RECEIVE_BUFFER),
        callback: (length, buffer) => {
          this.#read(length, buffer);
          return true;
        },
      },
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#answered?.(false));
  }

  /** Resolves with whether a whole answer with 200 came. */
  download(bytes: number): Promise<boolean> {
    const answered = this.#nextAnswer();
    this.#socket.write(getRequest(`/bytes/${bytes}`, this.#cookie));
    return answered;
  }

  async upload(bytes: number): Promise<boolean> {
    const answered = this.#nextAnswer();
    this.#socket.write(
      `PUT /cart HTTP/1.1\r\nHost: shop.test\r\nCookie: ${this.#cookie}\r\nContent-Length: ${bytes}\r\n\r\n`,
    );
    for (let left = bytes; left > 0 && !this.#socket.destroyed; left -= PIECE.length) {
      const taken = this.#socket.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE);
      if (!taken) await Promise.race([once(this.#socket, 'drain'), answered]);
    }
    return answered;
  }

  close(): void {
    this.#socket.destroy();
  }

  #nextAnswer(): Promise<boolean> {
    if (this.#socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  #read(length: number, buffer: Uint8Array): void {
    if (this.#left > 0) {
      this.#left -= length;
    } else {
      this.#head += Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const size = Number(/^content-length: (\d+)/im.exec(this.#head)?.[1] ?? 0);
      this.#left = size - (this.#head.length - end - 4);
    }
    if (this.#left > 0) return;
    const whole = this.#head.startsWith('HTTP/1.1 200 ') && this.#left === 0;
    this.#head = '';
    this.#answered?.(whole);
  }
}
