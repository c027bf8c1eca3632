import { crc32 } from 'node:zlib';

/*
 * Bytes of a frame, numbers big-endian:
 *
 *   0   mark         4   always the same, so that reading can go on behind a damaged frame
 *   4   check        4   CRC-32 of all that follows, payload included
 *   8   length       4   bytes of the payload
 *  12   number       6   grows by at least one from frame to frame
 *  18   kind         1
 *  19   payload      …
 */
const MARK = Buffer.from([0xf5, 0x53, 0x4a, 0xfa]);
const HEADER_SIZE = 19;

export interface Frame {
  /** Of two frames about the same thing, the one with the greater number counts. */
  readonly number: number;
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** A frame and where it was found. */
export interface FoundFrame extends Frame {
  readonly offset: number;
  /** Bytes of the whole frame. */
  readonly size: number;
}

export interface FrameScan {
  readonly frames: readonly FoundFrame[];
  /** Where the last good frame ends. */
  readonly end: number;
  /**
   * - `torn`: behind `end` is the beginning of a frame, or zeros: the writer was cut off within its last write
   * - `damaged`: something that was whole once cannot be read any more
   */
  readonly state: 'whole' | 'torn' | 'damaged';
}

export function frameSize(payloadSize: number): number {
  return HEADER_SIZE + payloadSize;
}

export function encodeFrame({ number, kind, payload }: Frame): Buffer {
  const bytes = Buffer.alloc(frameSize(payload.length));
  bytes.set(MARK, 0);
  bytes.writeUInt32BE(payload.length, 8);
  bytes.writeUIntBE(number, 12, 6);
  bytes.writeUInt8(kind, 18);
  bytes.set(payload, HEADER_SIZE);
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** The frame that begins at `offset`, or `undefined` when there is no good one. */
export function decodeFrame(bytes: Buffer, offset = 0): FoundFrame | undefined {
  if (bytes.length < offset + HEADER_SIZE) return undefined;
  if (MARK.compare(bytes, offset, offset + MARK.length) !== 0) return undefined;
  const size = frameSize(bytes.readUInt32BE(offset + 8));
  if (bytes.length < offset + size) return undefined;
  if (bytes.readUInt32BE(offset + 4) !== crc32(bytes.subarray(offset + 8, offset + size))) return undefined;
  return {
    number: bytes.readUIntBE(offset + 12, 6),
    kind: bytes.readUInt8(offset + 18),
    payload: bytes.subarray(offset + HEADER_SIZE, offset + size),
    offset,
    size,
  };
}

/** Finds every good frame from `start` on, whatever is between them. */
export function scanFrames(bytes: Buffer, start: number): FrameScan {
  const frames: FoundFrame[] = [];
  let end = start;
  let isDamaged = false;
  for (let offset = start; offset < bytes.length; ) {
    const frame = decodeFrame(bytes, offset);
    if (frame) {
      frames.push(frame);
      // What lies between two good frames was one itself.
      isDamaged ||= offset > end;
      end = offset + frame.size;
      offset = end;
    } else {
      const next = bytes.indexOf(MARK, offset + 1);
      offset = next < 0 ? bytes.length : next;
    }
  }
  if (isDamaged) return { frames, end, state: 'damaged' };
  if (end === bytes.length) return { frames, end, state: 'whole' };
  return { frames, end, state: isCutOff(bytes, end) ? 'torn' : 'damaged' };
}

/** Whether the bytes from `offset` to the end are what a write leaves that was cut off. */
function isCutOff(bytes: Buffer, offset: number): boolean {
  const rest = bytes.subarray(offset);
  // Some file systems grow a file before its bytes are there.
  if (rest.every((byte) => byte === 0)) return true;
  if (MARK.compare(rest, 0, Math.min(MARK.length, rest.length), 0, Math.min(MARK.length, rest.length)) !== 0)
    return false;
  return rest.length < HEADER_SIZE || rest.length < frameSize(rest.readUInt32BE(8));
}
