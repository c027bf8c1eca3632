import { readFileSync } from 'node:fs';
import { ifStillThere, processTree } from './process-tree.ts';

/** Resident memory of a process and the processes it started, bytes; what they share counts for each. Linux only. */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, each) => {
    const status = ifStillThere('', () => readFileSync(`/proc/${each}/status`, 'utf8'));
    const kib = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
    return sum + Number(kib ?? 0) * 1024;
  }, 0);
}
