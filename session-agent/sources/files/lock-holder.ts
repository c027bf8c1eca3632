import { readFile } from 'node:fs/promises';
import { ignoring } from './session-file.ts';

/**
 * The process that has locked a file with `flock(2)`; `undefined` when it cannot be seen, as in another container, or is not
 * the only one.
 *
 * @param locks - what the kernel says of all locks
 */
export function lockHolder(ino: bigint, locks: string): number | undefined {
  // 1: FLOCK  ADVISORY  WRITE 8858 fe:00:1507764 0 EOF
  // A line with an arrow is of one that waits.
  const holders = locks.split('\n').flatMap((line) => {
    const [, pid, inode] = /^\d+: FLOCK +\w+ +WRITE (\d+) \w+:\w+:(\d+) /.exec(line) ?? [];
    return inode === String(ino) ? [Number(pid)] : [];
  });
  return holders.length === 1 && holders[0] !== 0 ? holders[0] : undefined;
}

export async function readLocks(): Promise<string> {
  // Not there where /proc is hidden.
  return (await ignoring('ENOENT', readFile('/proc/locks', 'utf8'))) ?? '';
}

/** Whether a process still runs. One that was killed and is not buried yet does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await ignoring('ENOENT', readFile(`/proc/${pid}/stat`, 'utf8')).catch(() => undefined);
  // The name before it may have spaces and brackets in it.
  const state = stat?.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return state !== undefined && state !== 'Z' && state !== 'X';
}
