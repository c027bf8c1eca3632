import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Starts one of the modules beside this file as a process that ends with us, and waits for its first message. */
export async function startModule(file: string): Promise<{ child: ChildProcess; message: unknown }> {
  const child = fork(join(import.meta.dirname, file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const message = await nextMessage(child);
  return { child, message };
}

/** The next message of the process; rejects when it ends instead. */
export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const ended = once(child, 'exit', { signal: settled.signal }).then(([code, signal]) => {
    throw new Error(`${child.spawnfile} ended with ${code ?? signal}`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: settled.signal }), ended]);
    return message;
  } finally {
    ended.catch(ignoreAbort);
    settled.abort();
  }
}

export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

function ignoreAbort(error: Error): void {
  if (error.name !== 'AbortError') throw error;
}
