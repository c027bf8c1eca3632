import { readFileSync } from 'node:fs';
import { processTree } from './process-tree.ts';

/** Resident memory of a process and the processes it started, bytes; what they share counts for each. Linux only. */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, each) => {
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1];
    return sum + Number(kib ?? 0) * 1024;
  }, 0);
}
