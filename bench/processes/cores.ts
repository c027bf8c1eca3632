import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { processTree } from '../measure/process-tree.ts';

/** Who runs where. */
export interface Cores {
  /** The one core that whatever is measured has, while it is measured. */
  readonly measured: number;
  /** Those of the load generator, the app servers and the benchmark itself. */
  readonly others: readonly number[];
}

/**
 * One core for what is measured, the others for all else, so that a load generator takes no time from the proxy, and a proxy with
 * helper threads gets no second core that another one does not have.
 *
 * @returns `undefined` where there is one core only, or no `taskset`: then the system decides
 */
export function shareCores(): Cores | undefined {
  const [measured, ...others] = allowedCores();
  if (measured === undefined || others.length === 0) return undefined;
  const cores = { measured, others };
  return pin(process.pid, others) ? cores : undefined;
}

/** Moves a process, its threads and the processes that it has started to the core for what is measured. */
export function pinMeasured(pid: number, cores: Cores | undefined): void {
  if (cores) for (const each of processTree(pid)) pin(each, [cores.measured]);
}

function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function pin(pid: number, cores: readonly number[]): boolean {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', cores.join(','), String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    // No taskset, or not allowed: the report says that nothing was pinned.
    return false;
  }
}
