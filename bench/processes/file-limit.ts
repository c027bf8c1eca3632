import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Lets this process, and all that it starts from now on, open so many files, if that is allowed.
 *
 * @returns how many it may open now
 */
export function raiseFileLimit(wanted: number): number {
  if (fileLimit() < wanted) {
    try {
      execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${wanted}:${wanted}`], {
        stdio: 'ignore',
      });
    } catch {
      // Not root, or no prlimit: whoever asks goes by what is returned.
    }
  }
  return fileLimit();
}

function fileLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Number(limit ?? 1024);
}
