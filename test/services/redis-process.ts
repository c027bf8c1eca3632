import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPorts } from '../../demo/ports.ts';

const START_BOUND_MS = 20_000;

/** A `redis-server` of the test's own, which it may kill and stall. */
export interface LocalRedis {
  readonly url: string;
  readonly port: number;
  /** SIGKILL; resolves when the process is gone. Data that was not written to disk is lost. */
  kill(): Promise<void>;
  /**
   * Kills the server if it runs, and starts it again on the same port and directory: with what it had written to disk, or
   * `empty`. A server that was made a replica while it ran has forgotten that.
   */
  restart(options?: { readonly empty?: boolean }): Promise<void>;
  /** SIGSTOP: connections stay open, and nothing answers. */
  stall(): void;
  /** SIGCONT. */
  resume(): void;
  /** Kills it and removes its directory. */
  stop(): Promise<void>;
}

export interface LocalRedisOptions {
  /** Default: one that is free. */
  readonly port?: number;
  /** More arguments of `redis-server`; by default it keeps nothing on disk. */
  readonly args?: readonly string[];
  /** Runs as a sentinel with this configuration file instead, written into its directory. */
  readonly sentinel?: (directory: string) => Promise<string>;
}

/** Whether `redis-server` is on PATH. */
export function hasLocalRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export async function startLocalRedis(options: LocalRedisOptions = {}): Promise<LocalRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-redis-'));
  const [port = 0] = options.port === undefined ? await findPorts(1) : [options.port];
  const listen = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory];
  const args =
    options.sentinel === undefined
      ? [...listen, '--save', '', '--appendonly', 'no', ...(options.args ?? [])]
      : [await options.sentinel(directory), '--sentinel', ...listen, ...(options.args ?? [])];
  let server = await launch(args);

  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    restart: async ({ empty = false } = {}) => {
      await kill();
      if (empty) await clear(directory);
      server = await launch(args);
    },
    stall: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function clear(directory: string): Promise<void> {
  const names = await readdir(directory);
  await Promise.all(names.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}

/** Resolves when the server says that it listens. */
function launch(args: readonly string[]): Promise<ChildProcess> {
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // A test that ends early leaves nothing running.
  const onProcessExit = () => server.kill('SIGKILL');
  process.once('exit', onProcessExit);
  server.once('exit', () => process.off('exit', onProcessExit));
  return new Promise((resolve, reject) => {
    let output = '';
    const failed = (why: string) => {
      clearTimeout(timer);
      server.kill('SIGKILL');
      reject(new Error(`redis-server ${args.join(' ')}: ${why}\n${output}`));
    };
    const timer = setTimeout(() => failed('not listening in time'), START_BOUND_MS);
    const onExit = () => failed('exited');
    const onOutput = (chunk: Buffer) => {
      output += chunk;
      // A sentinel prints its ID when it is set up.
      if (!/Ready to accept connections|Sentinel ID is/.test(output)) return;
      clearTimeout(timer);
      server.off('exit', onExit);
      server.stdout.off('data', onOutput);
      // The pipe must be read on, or the server blocks when it is full.
      server.stdout.resume();
      resolve(server);
    };
    server.stdout.on('data', onOutput);
    server.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    server.once('exit', onExit);
    server.once('error', (error) => failed(error.message));
  });
}
