import { setTimeout as pause } from 'node:timers/promises';
import koffi from 'koffi';
import { StickshiftError } from '../../../protocol/errors.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LONGEST_PAUSE = 25;

// From the C library that node itself is linked with, whatever its file is called on this system.
const flock: (fd: number, operation: number) => number = koffi
  .load(null)
  .func('int flock(int fd, int operation)');

export type LockKind = 'shared' | 'exclusive';

/** Takes a `flock(2)` lock on an open file if it is free. It goes when the file is closed. */
export function tryLock(fd: number, kind: LockKind): boolean {
  // Always LOCK_NB: a lock that waits would stop the event loop for as long as the app's request takes.
  if (flock(fd, (kind === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true;
  const { EWOULDBLOCK, EINTR } = koffi.os.errno;
  const errno = koffi.errno();
  if (errno === EWOULDBLOCK || errno === EINTR) return false;
  throw new StickshiftError('SOURCE_FAILED', `a session file cannot be locked (errno ${errno})`);
}

/**
 * Takes a lock, waiting until `deadline` (by `performance.now()`) for whoever holds it. False when it was not to be
 * had; it is tried once even when the deadline has passed.
 *
 * @param onHeld - called when somebody has had the lock for more than a moment
 */
export async function lockBefore(
  deadline: number,
  fd: number,
  kind: LockKind,
  onHeld?: () => Promise<void>,
): Promise<boolean> {
  for (let delay = 1; ; delay = Math.min(delay * 2, LONGEST_PAUSE)) {
    if (tryLock(fd, kind)) return true;
    const left = deadline - performance.now();
    if (left <= 0) return false;
    // Not at the first attempt: one that only reads has the lock for less than it takes to ask who has it.
    if (delay === 2) await onHeld?.();
    await pause(Math.min(delay, left));
  }
}
