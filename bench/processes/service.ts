import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { endProcess } from './child-process.ts';
import { MEMORY_PROBE } from './memory-probe.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'bin', 'stickshift.js');
const START_BOUND_MS = 30_000;
const LAST_LINES = 20;

export interface ServiceOptions {
  /** Of the command `stickshift`. */
  readonly args: readonly string[];
  readonly directory: string;
  /** Answers 2xx when the service is ready. */
  readonly readyUrl: string;
  /** Lets `memoryOf` ask it. Default: false, as an operator starts it. */
  readonly memoryProbe?: boolean;
  /** Descriptor of a file that its log goes to, instead of to us. */
  readonly logTo?: number;
}

/** Starts a gateway or an agent as an operator does, and waits until it is ready. */
export async function startService(options: ServiceOptions): Promise<ChildProcess> {
  const { args, directory, readyUrl, memoryProbe = false, logTo = 'pipe' } = options;
  const child = spawn(process.execPath, [...(memoryProbe ? MEMORY_PROBE : []), COMMAND, ...args], {
    cwd: directory,
    stdio: ['ignore', logTo, 'inherit', ...(memoryProbe ? (['ipc'] as const) : [])],
  });
  // A benchmark that ends early leaves nothing running.
  const onProcessExit = () => child.kill('SIGKILL');
  process.once('exit', onProcessExit);
  child.once('exit', () => process.off('exit', onProcessExit));
  const log: string[] = [];
  // Read on to the end: a pipe that nobody reads would stop the service once it is full.
  child.stdout?.on('data', (chunk: Buffer) => {
    log.push(...chunk.toString().split('\n').filter(Boolean));
    log.splice(0, log.length - LAST_LINES);
  });
  const until = performance.now() + START_BOUND_MS;
  while (!(await isReady(readyUrl))) {
    if (child.exitCode === null && performance.now() < until) {
      await pause(50);
      continue;
    }
    await endProcess(child, 'SIGKILL');
    throw new Error(`stickshift ${args.join(' ')} is not ready; the end of its log:\n${log.join('\n')}`);
  }
  return child;
}

async function isReady(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    // Not listening yet.
    () => false,
  );
}
