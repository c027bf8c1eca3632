import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Starts one of the modules beside this file as a process that ends with us, and waits for its first message. */
export async function startModule(
  file: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ child: ChildProcess; message: unknown }> {
  const child = fork(join(import.meta.dirname, file), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
  });
  const message = await nextMessage(child);
  return { child, message };
}

/** The next message of the process; rejects when it ends instead. */
export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const ended = once(child, 'exit', { signal: settled.signal }).then(([code, signal]) => {
    throw new Error(`${child.spawnargs.at(-1)} ended with ${code ?? signal}`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: settled.signal }), ended]);
    return message;
  } finally {
    ended.catch(ignoreAbort);
    settled.abort();
  }
}

/** @param signal - SIGKILL: as a machine that loses power */
export async function endProcess(
  child: ChildProcess,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

function ignoreAbort(error: Error): void {
  if (error.name !== 'AbortError') throw error;
}
