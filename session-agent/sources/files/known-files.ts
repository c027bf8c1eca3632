import { hash } from 'node:crypto';
import { type FileContent, mtimeOf, type Stamp, sameStamp } from './session-file.ts';

/** What was last seen of a session's file. */
export interface KnownFile {
  readonly stamp: Stamp;
  /** Of the content that was read last; `undefined` when none was. */
  readonly digest: string | undefined;
  /** When it was looked at, milliseconds since 1970. */
  readonly seenAt: number;
}

/**
 * File systems take a file's time from a clock that ticks every few milliseconds. Two writes within one tick give the
 * same stamp, so one that is younger than this when it is read proves nothing.
 */
export const CLOCK_TICK = 50;

/** @param at - when the look began, so that what was written during it counts as unseen */
export function seen(content: FileContent, at: number): KnownFile {
  return { stamp: content.stamp, digest: hash('sha256', content.data, 'base64'), seenAt: at };
}

/** @param digest - of the content that was read last, if any was: what is there now was not to be read */
export function seenStamp(stamp: Stamp, at: number, digest?: string): KnownFile {
  return { stamp, digest, seenAt: at };
}

/** The stamp says all: the file has not changed since. */
export function isUnchanged(known: KnownFile, stamp: Stamp): boolean {
  return sameStamp(known.stamp, stamp) && mtimeOf(stamp) + CLOCK_TICK < known.seenAt;
}

export type FileChange = 'none' | 'touched' | 'changed';

/** What happened between two looks at a file. */
export function changeBetween(before: KnownFile | undefined, now: KnownFile): FileChange {
  if (!before) return 'changed';
  if (before.digest === undefined) return isUnchanged(before, now.stamp) ? 'none' : 'changed';
  if (before.digest !== now.digest) return 'changed';
  return now.stamp.mtimeNs > before.stamp.mtimeNs ? 'touched' : 'none';
}
