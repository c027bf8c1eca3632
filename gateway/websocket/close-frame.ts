import { StickshiftError } from '../../protocol/errors.ts';

// RFC 6455, 5.2: FIN and opcode 8.
const FIN_CLOSE = 0x88;
const MASKED = 0x80;
const LENGTH = 0x7f;
const LENGTH_IN_2_BYTES = 126;
const LENGTH_IN_8_BYTES = 127;
const MASK_BYTES = 4;
/** A control frame holds 125 bytes, two of which are the code. */
const MAX_REASON_BYTES = 123;

/**
 * A WebSocket close frame, unmasked, as a server sends it.
 *
 * @param code - 1000 to 4999 without the four that must not be sent (RFC 6455, 7.4.1)
 * @param reason - at most 123 bytes of UTF-8
 * @throws StickshiftError `INTERNAL` for a code or reason that no frame may carry
 */
export function closeFrame(code: number, reason: string): Buffer {
  const length = Buffer.byteLength(reason);
  if (!isSendable(code) || length > MAX_REASON_BYTES) {
    throw new StickshiftError(
      'INTERNAL',
      `no close frame can carry code ${code} and ${length} bytes of reason`,
    );
  }
  const frame = Buffer.allocUnsafe(4 + length);
  frame[0] = FIN_CLOSE;
  frame[1] = 2 + length;
  frame.writeUInt16BE(code, 2);
  frame.write(reason, 4);
  return frame;
}

function isSendable(code: number): boolean {
  return Number.isInteger(code) && code >= 1000 && code <= 4999 && ![1004, 1005, 1006, 1015].includes(code);
}

/**
 * Follows the frames of one direction of a WebSocket, however its bytes are cut, so that a frame of our own can be put
 * between two of them. Nothing is kept but a few numbers.
 */
export class WebSocketFrameBoundary {
  /** Bytes of payload that are still to come. */
  #payloadLeft = 0;
  /** Bytes of the current frame's header read so far, 0 between frames. */
  #headerRead = 0;
  /** Its whole length, as far as known: 2 until the second byte has told. */
  #headerLength = 2;
  #payloadLength = 0;
  /** Bytes of the extended payload length within the header. */
  #lengthBytes = 0;

  /** True when everything pushed so far ends with a whole frame; also before the first. */
  get atBoundary(): boolean {
    return this.#headerRead === 0 && this.#payloadLeft === 0;
  }

  /**
   * Takes the next bytes. Returns how many of them reach up to the last frame end in them, `undefined` when no frame ends
   * in them.
   *
   * @param stopAtFirst - up to the first frame end instead; bytes behind it are not looked at, so that it is the last call
   */
  push(chunk: Uint8Array, stopAtFirst = false): number | undefined {
    let boundary: number | undefined;
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= taken;
        at += taken;
      } else {
        this.#readHeader(chunk[at] as number);
        at += 1;
      }
      if (this.atBoundary) {
        boundary = at;
        if (stopAtFirst) break;
      }
    }
    return boundary;
  }

  #readHeader(byte: number): void {
    const index = this.#headerRead;
    this.#headerRead += 1;
    if (index === 1) {
      const length = byte & LENGTH;
      this.#lengthBytes = length === LENGTH_IN_8_BYTES ? 8 : length === LENGTH_IN_2_BYTES ? 2 : 0;
      this.#payloadLength = this.#lengthBytes === 0 ? length : 0;
      // Servers must not mask; one that does is for the client to refuse, and shall not make us lose count.
      this.#headerLength = 2 + this.#lengthBytes + (byte & MASKED ? MASK_BYTES : 0);
    } else if (index > 1 && index < 2 + this.#lengthBytes) {
      // Inexact past 2^53 bytes, which nobody lives to see.
      this.#payloadLength = this.#payloadLength * 256 + byte;
    }
    if (this.#headerRead < this.#headerLength) return;
    this.#payloadLeft = this.#payloadLength;
    this.#headerRead = 0;
    this.#headerLength = 2;
  }
}
