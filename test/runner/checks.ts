import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A check of the sources that is not a test: it succeeds by exit status 0. */
export interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Printed when it fails: what to do about it. */
  readonly advice: string;
}

export function sourceChecks(root: string): Check[] {
  const tool = (name: string) => join(root, 'node_modules', '.bin', name);
  const checks: Check[] = [
    { name: 'type check', command: [tool('tsc'), '--noEmit'], advice: 'npm run typecheck' },
    { name: 'lint and format', command: [tool('biome'), 'check', '.'], advice: 'npm run format' },
  ];
  if (existsSync(join(root, 'config', 'reference.ts'))) {
    checks.push({
      name: 'generated docs',
      command: [process.execPath, 'config/reference.ts', '--check'],
      advice: 'npm run docs:configuration',
    });
  }
  return checks;
}

/** Runs one check with its output passed through; resolves to whether it succeeded. */
export function runCheck(check: Check, root: string, signal: AbortSignal): Promise<boolean> {
  const [program, ...args] = check.command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], signal });
    child.once('error', (error) => (signal.aborted ? resolve(false) : reject(error)));
    child.once('exit', (code) => resolve(code === 0));
  });
}
