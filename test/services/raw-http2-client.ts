import type { TLSSocket } from 'node:tls';
import { connectByTls } from './tls-client.ts';
import { Watchers } from './watchers.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
const INITIAL_WINDOW_SIZE = 4;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** Names and values; a name may stand there any number of times. */
export type Fields = readonly (readonly [string, string])[];

/** What became of a stream. */
export interface Outcome {
  readonly answered: boolean;
  readonly body: string;
  /** Error code of the reset, or of the connection's end. */
  readonly error: number | undefined;
}

/** A client that puts HTTP/2 frames together itself, and so can send what no library would. It understands just enough of the answers. */
export class RawHttp2Client {
  readonly #socket: TLSSocket;
  readonly #watchers = new Watchers();
  readonly #streams = new Map<number, { answered: boolean; ended: boolean; body: string; error?: number }>();
  #buffered = Buffer.alloc(0);
  #next = 1;
  closed = false;
  goaway: number | undefined;

  private constructor(socket: TLSSocket, settings: Buffer) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('close', () => {
      this.closed = true;
      this.#watchers.look();
    });
    this.#socket.write(PREFACE);
    this.frame(FRAME.settings, 0, 0, settings);
  }

  /** @param window - octets that the server may send on each stream before it is granted more; without it what the protocol says */
  static async connect(port: number, { window }: { window?: number } = {}): Promise<RawHttp2Client> {
    const settings = Buffer.alloc(window === undefined ? 0 : 6);
    if (window !== undefined) {
      settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
      settings.writeUInt32BE(window, 2);
    }
    return new RawHttp2Client(await connectByTls(port, { ALPNProtocols: ['h2'] }), settings);
  }

  /** Lets the server send so many octets more: on a stream, or, with 0 for it, on the connection. */
  grant(stream: number, octets: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(octets);
    this.frame(FRAME.windowUpdate, 0, stream, payload);
  }

  /** Takes nothing off its socket until {@link resume}. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Octets of an answer's body that have come. */
  received(stream: number): number {
    return this.#streams.get(stream)?.body.length ?? 0;
  }

  /** Whether the answer's head has come. */
  isAnswered(stream: number): boolean {
    return this.#streams.get(stream)?.answered ?? false;
  }

  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (this.#socket.destroyed) return;
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  /** Sends a head, and returns the stream's number. */
  open(fields: Fields, { end = true } = {}): number {
    const stream = this.#next;
    this.#next += 2;
    this.#streams.set(stream, { answered: false, ended: false, body: '' });
    this.frame(FRAME.headers, FLAG.endHeaders | (end ? FLAG.endStream : 0), stream, headerBlock(fields));
    return stream;
  }

  data(stream: number, body: string, { end = true } = {}): void {
    this.frame(FRAME.data, end ? FLAG.endStream : 0, stream, Buffer.from(body, 'latin1'));
  }

  reset(stream: number, code: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.frame(FRAME.reset, 0, stream, payload);
  }

  /** Resolves when the stream was answered whole or reset, or the connection has ended. */
  async outcome(number: number): Promise<Outcome> {
    const stream = this.#streams.get(number);
    if (!stream) throw new Error(`no stream ${number}`);
    await this.until(() => this.closed || stream.ended || stream.error !== undefined);
    const { answered, body } = stream;
    return { answered, body, error: stream.error ?? (stream.ended ? undefined : this.goaway) };
  }

  until(condition: () => boolean): Promise<void> {
    return this.#watchers.until(condition);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk]);
    while (this.#buffered.length >= 9) {
      const length = this.#buffered.readUIntBE(0, 3);
      if (this.#buffered.length < 9 + length) break;
      const [type, flags] = [this.#buffered.readUInt8(3), this.#buffered.readUInt8(4)];
      const number = this.#buffered.readUInt32BE(5);
      this.#frame(type, flags, number, this.#buffered.subarray(9, 9 + length));
      this.#buffered = this.#buffered.subarray(9 + length);
    }
    this.#watchers.look();
  }

  #frame(type: number, flags: number, number: number, payload: Buffer): void {
    const stream = this.#streams.get(number);
    if (type === FRAME.settings && !(flags & FLAG.ack))
      this.frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0));
    if (type === FRAME.goaway) this.goaway = payload.readUInt32BE(4);
    if (!stream) return;
    if (type === FRAME.headers) stream.answered = true;
    if (type === FRAME.data) stream.body += payload.toString('latin1');
    if (type === FRAME.reset) stream.error = payload.readUInt32BE(0);
    if ((type === FRAME.headers || type === FRAME.data) && flags & FLAG.endStream) stream.ended = true;
  }
}

/** HPACK without any compression: each field a literal that is not indexed, with its name (RFC 7541, 6.2.2). */
export function headerBlock(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  // RFC 7541, 5.1: an integer with a prefix of seven bits.
  const length: number[] = [];
  if (bytes.length < 127) {
    length.push(bytes.length);
  } else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
