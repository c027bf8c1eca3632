import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { endProcess } from './child-process.ts';

const START_BOUND_MS = 10_000;

export interface ForeignOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Holds its output: `output.log`. */
  readonly directory: string;
  /** Where it listens once it is ready. */
  readonly port: number;
}

/** What a program says of its version, or `undefined` when it is not installed. */
export function versionOf(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  try {
    // nginx says it on stderr.
    const output = execFileSync('sh', ['-c', `"$0" "$@" 2>&1`, command, ...args], { encoding: 'utf8' });
    return pattern.exec(output)?.[1] ?? 'unknown';
  } catch {
    return undefined;
  }
}

/** Starts a server that is not ours, and waits until its port is open. */
export async function startForeign(options: ForeignOptions): Promise<ChildProcess> {
  const { command, args, env, directory, port } = options;
  const log = join(directory, 'output.log');
  const output = openSync(log, 'a');
  const child = spawn(command, args, {
    cwd: directory,
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  });
  closeSync(output);
  // SIGTERM and not SIGKILL: nginx's worker would outlive a master that cannot tell it.
  const onProcessExit = () => child.kill('SIGTERM');
  process.once('exit', onProcessExit);
  child.once('exit', () => process.off('exit', onProcessExit));
  const until = performance.now() + START_BOUND_MS;
  while (!(await isListening(port))) {
    if (child.exitCode === null && child.signalCode === null && performance.now() < until) {
      await pause(20);
      continue;
    }
    await endProcess(child);
    throw new Error(`${command} does not listen on port ${port}:\n${readFileSync(log, 'utf8').slice(-2000)}`);
  }
  return child;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
