import * as z from 'zod';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionSource } from '../sources/session-source.ts';

const FORMAT = 1;
const LENGTH_SIZE = 4;

/** Most bytes that the description before the session's data may take; session IDs are far shorter. */
export const MAX_DESCRIPTION = 16 * 1024;

/** What a snapshot says about itself once it is opened. */
export interface SnapshotPayload {
  /** Kind of source that captured it; only the same kind can install it. */
  readonly source: SessionSource['kind'];
  readonly sessionId: string;
  /** Idle deadline at the time of the capture; the record's may have moved on since. */
  readonly idleAt: number;
  readonly data: Uint8Array;
}

const formatSchema = z.object({ format: z.number().int().min(1) });
const descriptionSchema = z.object({
  source: z.enum(['express', 'files']),
  sessionId: z.string().min(1),
  idleAt: z.number(),
});

/** Length of the description (32 bits, big-endian), the description as JSON, the session's data. */
export function encodePayload(payload: SnapshotPayload): Buffer {
  const { data, ...description } = payload;
  const json = Buffer.from(JSON.stringify({ format: FORMAT, ...description }));
  if (json.length > MAX_DESCRIPTION) {
    throw new StickshiftError('SESSION_UNPROTECTED', 'the session ID is too long');
  }
  const length = Buffer.alloc(LENGTH_SIZE);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, data]);
}

/** @throws StickshiftError `SNAPSHOT_CORRUPT`, or `SNAPSHOT_TOO_NEW` for a format of a later release */
export function decodePayload(bytes: Buffer): SnapshotPayload {
  if (bytes.length < LENGTH_SIZE) throw corrupt('it is cut short');
  const dataStart = LENGTH_SIZE + bytes.readUInt32BE(0);
  if (dataStart > bytes.length) throw corrupt('its description is cut short');
  const json = parse(bytes.toString('utf8', LENGTH_SIZE, dataStart));

  const { data: versioned } = formatSchema.safeParse(json);
  if (!versioned) throw corrupt('it names no format');
  if (versioned.format > FORMAT) {
    throw new StickshiftError('SNAPSHOT_TOO_NEW', `snapshot of format ${versioned.format}`);
  }
  const { data: description } = descriptionSchema.safeParse(json);
  if (!description) throw corrupt('its description is incomplete');
  return { ...description, data: bytes.subarray(dataStart) };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new StickshiftError('SNAPSHOT_CORRUPT', 'unreadable snapshot: its description is not JSON', {
      cause: error,
    });
  }
}

function corrupt(why: string): StickshiftError {
  return new StickshiftError('SNAPSHOT_CORRUPT', `unreadable snapshot: ${why}`);
}
