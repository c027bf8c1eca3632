import { readFileSync } from 'node:fs';

/** A process and all that it has started and that still run. Linux only. */
export function processTree(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(list === '' ? [] : list.split(' ').flatMap((child) => processTree(Number(child))))];
}
