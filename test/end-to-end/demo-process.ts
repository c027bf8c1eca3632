import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STICKSHIFT = join(import.meta.dirname, '..', '..', 'bin', 'stickshift.js');

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `stickshift demo --json` says once it is up. */
export interface DemoIsUp {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly stateDirectory: string;
  /** Process IDs by name: `gateway`, `app-1`, `app-1 agent`, … */
  readonly processes: Record<string, number>;
}

/** A `stickshift` command as a user gives it: a process with a working directory of its own. */
export class StickshiftCommand {
  readonly directory: string;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  private constructor(directory: string, args: readonly string[], env: Record<string, string>) {
    this.directory = directory;
    const { STICKSHIFT_STORE: _, ...inherited } = process.env;
    this.child = spawn(process.execPath, [STICKSHIFT, ...args], {
      cwd: directory,
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = once(this.child, 'close').then(([status]) => ({
      status: status as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  static async start(args: readonly string[], env: Record<string, string> = {}): Promise<StickshiftCommand> {
    return new StickshiftCommand(await mkdtemp(join(tmpdir(), 'stickshift-e2e-')), args, env);
  }

  /** In the same directory, as from a second terminal. */
  async alongside(...args: string[]): Promise<Ended> {
    return new StickshiftCommand(this.directory, args, {}).ended;
  }

  /** The first line on standard output, as JSON; fails when the command ends before. */
  async firstLine(): Promise<DemoIsUp> {
    while (!this.#stdout.includes('\n')) {
      const over = await Promise.race([
        this.ended,
        once(this.child.stdout ?? this.child, 'data').then(() => undefined),
      ]);
      if (over) throw new Error(`it ended with status ${over.status}:\n${over.stderr}`);
    }
    return JSON.parse(this.#stdout.slice(0, this.#stdout.indexOf('\n'))) as DemoIsUp;
  }

  /** Interrupts it if it still runs, and removes its directory. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGINT');
    await this.ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}
