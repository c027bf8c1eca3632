import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { StickshiftError } from '../../protocol/errors.ts';

/*
 * The beginning of a journal file, numbers big-endian:
 *
 *   0   name        16   "Stickshift log\r\n": a transfer that mends line ends shows
 *  16   version      2
 *  18   length       2   of the description
 *  20   check        4   CRC-32 of the description
 *  24   description  …   JSON
 */
const NAME = Buffer.from('Stickshift log\r\n', 'latin1');
const VERSION = 1;
const FIXED_SIZE = 24;

/** Whose journal it is. Entries of others must not be committed as this agent's. */
export interface JournalOwner {
  readonly backend: string;
  /** Session key of a fixed text: another one for every application and every installation's secret. */
  readonly realm: string;
}

const ownerSchema = z.object({ backend: z.string(), realm: z.string() }) satisfies z.ZodType<JournalOwner>;

export function encodeFileHeader({ backend, realm }: JournalOwner): Buffer {
  const description = Buffer.from(JSON.stringify({ backend, realm }));
  const bytes = Buffer.alloc(FIXED_SIZE + description.length);
  bytes.set(NAME, 0);
  bytes.writeUInt16BE(VERSION, 16);
  bytes.writeUInt16BE(description.length, 18);
  bytes.writeUInt32BE(crc32(description), 20);
  bytes.set(description, FIXED_SIZE);
  return bytes;
}

/**
 * Length of the header, or `undefined` when it is damaged.
 *
 * @throws StickshiftError `JOURNAL_INVALID` for the file of a later version, or of another agent
 */
export function checkFileHeader(bytes: Buffer, owner: JournalOwner): number | undefined {
  if (bytes.length < FIXED_SIZE || !bytes.subarray(0, NAME.length).equals(NAME)) return undefined;
  const version = bytes.readUInt16BE(16);
  if (version > VERSION) {
    throw new StickshiftError(
      'JOURNAL_INVALID',
      `the journal was written by a later release (format ${version}; this one knows ${VERSION}): start that release again, or let it commit what is in the journal first`,
    );
  }
  const size = FIXED_SIZE + bytes.readUInt16BE(18);
  const description = bytes.subarray(FIXED_SIZE, size);
  if (bytes.length < size || crc32(description) !== bytes.readUInt32BE(20)) return undefined;
  const { data: found } = ownerSchema.safeParse(JSON.parse(description.toString()));
  if (!found) return undefined;
  if (found.backend !== owner.backend) {
    throw new StickshiftError(
      'JOURNAL_INVALID',
      `the journal is that of backend ${found.backend}, not of ${owner.backend}: every agent needs a directory of its own`,
    );
  }
  if (found.realm !== owner.realm) {
    throw new StickshiftError(
      'JOURNAL_INVALID',
      'the journal was written with another secret or for another application: put the former one back, or move the journal away to give up what is in it',
    );
  }
  return size;
}
