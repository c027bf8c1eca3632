import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { processTree } from './process-tree.ts';

let ticksPerSecond: number | undefined;

/**
 * CPU time that a process and the processes it started have used so far: user and system, all threads, microseconds,
 * by clock ticks (10 ms). Linux only.
 */
export function processCpuMicros(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const ticks = ticksPerSecond;
  return processTree(pid).reduce((sum, each) => sum + (ticksOf(each) / ticks) * 1e6, 0);
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
