import { StickshiftError } from '../../protocol/errors.ts';
import type { BackendView, Deed } from './control-server.ts';
import { type DemoState, findDemo } from './state-file.ts';

/**
 * Kills, restarts, drains or readies a server of the demo that was started in `directory`; resolves when it is done.
 *
 * @throws StickshiftError `NOT_FOUND` when no demo runs there, or it has no such server
 */
export async function performDeed(deed: Deed, backend: string, directory = process.cwd()): Promise<void> {
  const demo = await findDemo(directory);
  await ask(demo, 'POST', `/backends/${encodeURIComponent(backend)}/${deed}`);
}

/** The servers of the demo that was started in `directory`. */
export async function listBackends(directory = process.cwd()): Promise<BackendView[]> {
  const { backends } = (await ask(await findDemo(directory), 'GET', '/backends')) as {
    backends: BackendView[];
  };
  return backends;
}

async function ask(demo: DemoState, method: string, path: string): Promise<unknown> {
  const response = await fetch(new URL(path, demo.controlUrl), {
    method,
    headers: { authorization: `Bearer ${demo.controlToken}` },
  }).catch((error: unknown) => {
    throw new StickshiftError('NOT_FOUND', 'the demo does not answer any more', { cause: error });
  });
  const answer = (await response.json()) as { error?: { message: string } };
  if (response.ok) return answer;
  const message = answer.error?.message ?? `the demo answered ${response.status}`;
  throw new StickshiftError(response.status === 404 ? 'NOT_FOUND' : 'INTERNAL', message);
}
