import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { FakeAgent } from '../../test/services/fake-agent.ts';
import { asTarget, type Target } from './target.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'bin', 'stickshift.js');

/** The gateway as an operator starts it, before one backend whose agent is ready and never asked for anything else. */
export async function startGatewayProcess(backendPort: number): Promise<Target> {
  await using undo = new AsyncDisposableStack();
  const agent = await FakeAgent.start({ backend: 'app-1', application: 'app' });
  undo.defer(() => agent.stop());
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-bench-'));
  undo.defer(() => rm(directory, { recursive: true, force: true }));

  const config: ConfigInput = {
    secret: 'a secret of the benchmark, long enough to be one',
    store: { url: `sqlite:${join(directory, 'sessions.sqlite')}` },
    gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' } },
    pools: {
      app: {
        session: { cookie: 'sid' },
        health: { path: '/', rise: 1 },
        backends: { 'app-1': { url: `http://127.0.0.1:${backendPort}`, agent: agent.url } },
      },
    },
  };
  const file = join(directory, 'stickshift.yaml');
  await writeFile(file, stringify(config));
  const child = spawn(process.execPath, [COMMAND, 'gateway', '--config', file], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const target = asTarget('stickshift', child, 0);
  undo.defer(() => target[Symbol.asyncDispose]());
  const port = await readPort(child.stdout, once(child, 'exit'));
  const started = undo.move();
  return { ...target, port, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** The port that the gateway's log says it got. */
async function readPort(log: NodeJS.ReadableStream, exit: Promise<unknown[]>): Promise<number> {
  const lines = createInterface({ input: log });
  const told = new Promise<number>((resolve) => {
    // Listens on afterwards too: a pipe that nobody reads would stop the gateway once it is full.
    lines.on('line', (line) => {
      const port = /"listen":"[^"]*:(\d+)"/.exec(line)?.[1];
      if (port) resolve(Number(port));
    });
  });
  const ended = exit.then(([code]) =>
    Promise.reject(new Error(`the gateway ended with ${code} before it listened`)),
  );
  return Promise.race([told, ended]);
}
