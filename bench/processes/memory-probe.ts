import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { nextMessage } from './child-process.ts';

/** What a process is started with, so that {@link memoryOf} can ask it. */
export const MEMORY_PROBE = ['--expose-gc', '--import', join(import.meta.dirname, 'memory-probe.main.ts')];

/** Memory of a process that was started with {@link MEMORY_PROBE}, without what is garbage. */
export async function memoryOf(child: ChildProcess): Promise<NodeJS.MemoryUsage> {
  const answer = nextMessage(child);
  child.send('memory');
  return (await answer) as NodeJS.MemoryUsage;
}
