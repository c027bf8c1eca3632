import { readFileSync } from 'node:fs';

/** Whether a process runs. One that is dead but not yet reaped by its parent does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // The state follows the name in parentheses; the name itself may hold anything.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // No /proc on this system, or gone this moment.
    return process.platform !== 'linux';
  }
}
