import { StickshiftError } from '../../protocol/errors.ts';

/*
 * Bytes of a sealed snapshot:
 *
 *   0   version      1
 *   1   flags        1   bit 0: the plaintext is compressed with zstd
 *   2   key id       4
 *   6   epoch        6   big-endian
 *  12   seq          6   big-endian
 *  18   nonce       12
 *  30   ciphertext   …
 *   …   tag         16
 */
const VERSION = 1;
const HEADER_SIZE = 30;
const NONCE_START = 18;
const TAG_SIZE = 16;
const COMPRESSED = 1;

export const NONCE_SIZE = 12;

export interface EnvelopeHeader {
  readonly compressed: boolean;
  /** 32-bit number of the key in the key ring. */
  readonly keyId: number;
  readonly epoch: number;
  readonly seq: number;
  readonly nonce: Uint8Array;
}

export interface Envelope extends EnvelopeHeader {
  /** The header as it stands in the envelope; authenticated with the ciphertext. */
  readonly headerBytes: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

export function encodeHeader(header: EnvelopeHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(header.compressed ? COMPRESSED : 0, 1);
  bytes.writeUInt32BE(header.keyId, 2);
  bytes.writeUIntBE(header.epoch, 6, 6);
  bytes.writeUIntBE(header.seq, 12, 6);
  bytes.set(header.nonce, NONCE_START);
  return bytes;
}

/**
 * Takes an envelope apart; nothing in it is authenticated yet.
 *
 * @throws StickshiftError `SNAPSHOT_CORRUPT`, or `SNAPSHOT_TOO_NEW` for a version or flag of a later release
 */
export function decodeEnvelope(sealed: Uint8Array): Envelope {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const version = bytes[0];
  if (version === undefined || version === 0) {
    throw new StickshiftError('SNAPSHOT_CORRUPT', 'not a sealed snapshot');
  }
  if (version > VERSION) {
    throw new StickshiftError('SNAPSHOT_TOO_NEW', `sealed snapshot of version ${version}`);
  }
  if (bytes.length < HEADER_SIZE + TAG_SIZE) {
    throw new StickshiftError('SNAPSHOT_CORRUPT', `sealed snapshot of only ${bytes.length} bytes`);
  }
  const flags = bytes.readUInt8(1);
  if ((flags & ~COMPRESSED) !== 0) {
    throw new StickshiftError('SNAPSHOT_TOO_NEW', `sealed snapshot with unknown flags ${flags}`);
  }
  return {
    compressed: (flags & COMPRESSED) !== 0,
    keyId: bytes.readUInt32BE(2),
    epoch: bytes.readUIntBE(6, 6),
    seq: bytes.readUIntBE(12, 6),
    nonce: bytes.subarray(NONCE_START, HEADER_SIZE),
    headerBytes: bytes.subarray(0, HEADER_SIZE),
    ciphertext: bytes.subarray(HEADER_SIZE, -TAG_SIZE),
    tag: bytes.subarray(-TAG_SIZE),
  };
}

/**
 * What tells one sealing from every other: its random nonce. An agent that lost the answer to a commit recognises its
 * own bytes in the store by it. An empty text for bytes that are too short to be an envelope.
 */
export function sealingOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(NONCE_START, HEADER_SIZE)).toString('base64url');
}
