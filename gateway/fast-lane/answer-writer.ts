import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorAnswer } from '../answers/error-answer.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { privateCacheControl } from '../forwarding/private-cache-control.ts';
import { backendResponseHeaders, mayHaveBody } from '../forwarding/response-headers.ts';
import { type Framing, framingOf } from './answer-body.ts';
import { joined } from './answer-head.ts';
import type { LaneParts } from './lane-parts.ts';

const LAST_CHUNK = '0\r\n\r\n';
/** Up to here, what goes out together is copied into one string, which costs less than two writes. */
const SMALL = 16 * 1024;

/** What an answer's head said, for as long as the answer is not let out. */
export interface KeptHead {
  readonly status: number;
  readonly reason: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
}

/** Writes one answer to its client. */
export class AnswerWriter {
  /** Another request may follow on the connection. */
  keepAlive: boolean;
  /** That the client got; `undefined` as long as it got nothing. */
  status: number | undefined;
  readonly #socket: Socket;
  readonly #parts: LaneParts;
  readonly #delivery: Delivery;
  /** The body goes out in chunks that are made here: the backend sent none, or they have been undone. */
  #makesChunks = false;

  constructor(socket: Socket, parts: LaneParts, delivery: Delivery, keepAlive: boolean) {
    this.#socket = socket;
    this.#parts = parts;
    this.#delivery = delivery;
    this.keepAlive = keepAlive;
  }

  /** The head of the answer that `parts.answerHeads` has just read, with nothing to add to it. */
  plainHead(text: string): string {
    const { answerHeads } = this.#parts;
    const { status, reason, headers } = answerHeads;
    const framing = framingOf(this.#delivery.method, answerHeads);
    return this.#head(status, reason, answerHeads.forwardedLines(text), headers.date !== undefined, framing);
  }

  /**
   * @param cookie - to be set
   * @param framing - of what will be written
   * @param length - of the body, if it is known only now
   */
  headWith(kept: KeptHead, cookie: string | undefined, framing: Framing, length?: number): string {
    const { status, reason, rawHeaders } = kept;
    const headers = backendResponseHeaders(rawHeaders);
    if (cookie !== undefined) {
      headers.push('Set-Cookie', cookie);
      privateCacheControl(headers);
    }
    if (
      length !== undefined &&
      !has(headers, 'content-length') &&
      mayHaveBody(this.#delivery.method, status)
    ) {
      headers.push('Content-Length', String(length));
    }
    return this.#head(status, reason, joined(headers), has(headers, 'date'), framing);
  }

  /** From now on data is written, and not what a backend sent of frames. */
  makeChunks(): void {
    this.#makesChunks = true;
  }

  /**
   * @param head - goes first; empty when it has gone
   * @param piece - good only until this returns
   * @param ranges - of `piece`: begin and end in turn
   * @param isLast - nothing follows
   * @returns false when the client takes no more for now
   */
  write(head: string, piece: Buffer, ranges: readonly number[], isLast: boolean): boolean {
    const socket = this.#socket;
    let length = head.length;
    for (let index = 0; index < ranges.length; index += 2) {
      length += (ranges[index + 1] as number) - (ranges[index] as number);
    }
    const end = isLast && this.#makesChunks ? LAST_CHUNK : '';
    if (length <= SMALL) {
      let text = head;
      for (let index = 0; index < ranges.length; index += 2) {
        text += this.#chunkOf(piece.toString('latin1', ranges[index], ranges[index + 1]));
      }
      text += end;
      return text === '' || socket.write(text, 'latin1');
    }
    socket.cork();
    if (head !== '') socket.write(head, 'latin1');
    for (let index = 0; index < ranges.length; index += 2) {
      const range = piece.subarray(ranges[index], ranges[index + 1]);
      if (range.length === 0) continue;
      if (this.#makesChunks) socket.write(`${range.length.toString(16)}\r\n`, 'latin1');
      // A copy: the memory is read into again before a slow client has taken this.
      socket.write(Buffer.from(range));
      if (this.#makesChunks) socket.write('\r\n', 'latin1');
    }
    if (end !== '') socket.write(end, 'latin1');
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  error({ status, headers, body }: ErrorAnswer): void {
    const text = Buffer.from(body, 'utf8').toString('latin1');
    const lines = `${joined(Object.entries(headers).flat())}Content-Length: ${text.length}\r\n`;
    const head = this.#head(status, STATUS_CODES[status] ?? 'Error', lines, false, 'length');
    this.#socket.write(this.#delivery.method === 'HEAD' ? head : head + text, 'latin1');
  }

  /** As Node writes it. */
  #head(status: number, reason: string, lines: string, hasDate: boolean, framing: Framing): string {
    const { counters, clock, keepAliveLines } = this.#parts;
    this.status = status;
    this.#makesChunks = framing === 'close';
    counters.countResponse(status);
    const date = hasDate ? '' : `Date: ${clock.date}\r\n`;
    const connection = this.keepAlive ? keepAliveLines : 'Connection: close\r\n';
    const coding = framing === 'chunks' || framing === 'close' ? 'Transfer-Encoding: chunked\r\n' : '';
    return `HTTP/1.1 ${status} ${reason}\r\n${lines}${date}${connection}${coding}\r\n`;
  }

  #chunkOf(data: string): string {
    if (!this.#makesChunks || data === '') return data;
    return `${data.length.toString(16)}\r\n${data}\r\n`;
  }
}

function has(headers: readonly string[], lower: string): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    if (name.length === lower.length && name.toLowerCase() === lower) return true;
  }
  return false;
}
