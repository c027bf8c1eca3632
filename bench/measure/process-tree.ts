import { readFileSync } from 'node:fs';

/**
 * A process and all that it has started and that still run. Linux only.
 *
 * @throws Error when the process itself is gone
 */
export function processTree(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  if (list === '') return [pid];
  return [pid, ...list.split(' ').flatMap((child) => ifStillThere([], () => processTree(Number(child))))];
}

/** What is read of a process of a tree, which may end between one look and the next. */
export function ifStillThere<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return otherwise;
    throw error;
  }
}
