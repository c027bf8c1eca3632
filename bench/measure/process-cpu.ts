import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ifStillThere, processTree } from './process-tree.ts';

let ticksPerSecond: number | undefined;

/**
 * CPU time that a process and the processes it started have used so far: user and system, all threads, microseconds,
 * by clock ticks (10 ms). Linux only.
 */
export function processCpuMicros(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const ticks = ticksPerSecond;
  // From the leaves to the root: what one of them has used that ends meanwhile is its parent's by then.
  return processTree(pid)
    .toReversed()
    .reduce((sum, each) => sum + (ifStillThere(0, () => ticksOf(each)) / ticks) * 1e6, 0);
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // User and system time: its own, and that of its children that have ended.
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
}
