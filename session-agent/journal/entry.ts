import * as z from 'zod';
import { StickshiftError } from '../../protocol/errors.ts';
import { isSessionKey, type SessionKey } from '../../protocol/session-key.ts';
import type { Deadlines } from '../../store/snapshot-store.ts';

/** A sealed snapshot that could not be committed. The session ID is inside the seal only. */
export interface JournaledSnapshot {
  readonly kind: 'snapshot';
  readonly key: SessionKey;
  readonly epoch: number;
  readonly seq: number;
  readonly deadlines: Deadlines;
  /** False for a session that never had a record of this agent's: one that is there now may be somebody else's. */
  readonly proven: boolean;
  /** Sealing of a first commit whose fate was unknown, by which its record is recognised. */
  readonly doubt: string | undefined;
  readonly snapshot: Uint8Array;
}

/** A logout that the store does not know of yet. */
export interface JournaledLogout {
  readonly kind: 'logout';
  readonly key: SessionKey;
  /** Of the session when it was logged out; 0 when it was never committed. */
  readonly epoch: number;
  /** How long the tombstone is to stand, milliseconds since 1970. */
  readonly until: number;
}

/** A tombstone that stands in the store, for the case that the store forgets it. */
export interface JournaledTombstone {
  readonly kind: 'tombstone';
  readonly key: SessionKey;
  readonly until: number;
}

/** What the journal holds of a session; the last entry of a session key counts. */
export type JournalEntry = JournaledSnapshot | JournaledLogout | JournaledTombstone;

/** Nothing is outstanding any more for the key. */
interface SettledMark {
  readonly kind: 'settled';
  readonly key: SessionKey;
}

export type JournalRecord = JournalEntry | SettledMark;

/** Numbers on disk. A new kind is a new version of the file. */
const KINDS = { snapshot: 1, logout: 2, tombstone: 3, settled: 4 } as const;

const LENGTH_SIZE = 2;
const key = z.custom<SessionKey>((value) => typeof value === 'string' && isSessionKey(value));
const count = z.int().nonnegative();
const time = z.number().nonnegative();
const logoutSchema = z.object({ key, epoch: count, until: time });
const tombstoneSchema = z.object({ key, until: time });
const settledSchema = z.object({ key });
const snapshotSchema = z.object({
  key,
  epoch: count,
  seq: count,
  idleAt: time,
  absoluteAt: time.optional(),
  proven: z.boolean(),
  doubt: z.string().optional(),
});

/** Length of the description (16 bits, big-endian), the description as JSON, the sealed snapshot if there is one. */
export function encodeEntry(entry: JournalRecord): { readonly kind: number; readonly payload: Buffer } {
  const json = Buffer.from(JSON.stringify(describe(entry)));
  const length = Buffer.alloc(LENGTH_SIZE);
  length.writeUInt16BE(json.length);
  const snapshot = entry.kind === 'snapshot' ? entry.snapshot : new Uint8Array();
  return { kind: KINDS[entry.kind], payload: Buffer.concat([length, json, snapshot]) };
}

/** @throws StickshiftError `JOURNAL_INVALID` for what this version cannot have written */
export function decodeEntry(kind: number, payload: Uint8Array): JournalRecord {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  try {
    const end = LENGTH_SIZE + bytes.readUInt16BE(0);
    const json: unknown = JSON.parse(bytes.toString('utf8', LENGTH_SIZE, end));
    switch (kind) {
      case KINDS.snapshot: {
        const { idleAt, absoluteAt, doubt, ...rest } = snapshotSchema.parse(json);
        const snapshot = bytes.subarray(end);
        return { kind: 'snapshot', ...rest, doubt, deadlines: { idleAt, absoluteAt }, snapshot };
      }
      case KINDS.logout:
        return { kind: 'logout', ...logoutSchema.parse(json) };
      case KINDS.tombstone:
        return { kind: 'tombstone', ...tombstoneSchema.parse(json) };
      case KINDS.settled:
        return { kind: 'settled', ...settledSchema.parse(json) };
    }
  } catch (error) {
    throw new StickshiftError('JOURNAL_INVALID', 'an entry of the journal cannot be read', { cause: error });
  }
  throw new StickshiftError('JOURNAL_INVALID', `an entry of the journal is of the unknown kind ${kind}`);
}

function describe(entry: JournalRecord): object {
  if (entry.kind !== 'snapshot') {
    const { kind: _, ...description } = entry;
    return description;
  }
  const { kind: _, snapshot: __, deadlines, ...description } = entry;
  return { ...description, ...deadlines };
}
