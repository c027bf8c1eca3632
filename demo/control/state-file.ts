import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StickshiftError } from '../../protocol/errors.ts';
import { isAlive } from '../process-alive.ts';

/** What a running demo leaves in its working directory, for `stickshift demo kill` and whoever wants to look on. */
export interface DemoState {
  /** The supervisor's. */
  readonly pid: number;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly controlUrl: string;
  readonly controlToken: string;
  readonly stateDirectory: string;
}

function stateFile(directory: string): string {
  return join(directory, '.stickshift', 'demo.json');
}

/** @param directory - working directory of the demo */
export async function writeDemoState(directory: string, state: DemoState): Promise<void> {
  const file = stateFile(directory);
  await mkdir(dirname(file), { recursive: true });
  // It holds the control token. A file that exists would keep its mode.
  await rm(file, { force: true });
  await writeFile(file, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}

/** Removes the file, unless another demo has put its own there since. */
export async function removeDemoState(directory: string, pid: number): Promise<void> {
  const state = await readState(directory);
  if (state?.pid === pid) await rm(stateFile(directory), { force: true });
}

/** @throws StickshiftError `NOT_FOUND` when no demo was started in `directory`, or it runs no more */
export async function findDemo(directory: string): Promise<DemoState> {
  const state = await readState(directory);
  if (state && isAlive(state.pid)) return state;
  throw new StickshiftError(
    'NOT_FOUND',
    `no demo was started in ${directory}; start one with "npm start" or "npx stickshift demo", and give this command in the same directory`,
  );
}

async function readState(directory: string): Promise<DemoState | undefined> {
  try {
    return JSON.parse(await readFile(stateFile(directory), 'utf8')) as DemoState;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
