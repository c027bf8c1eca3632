import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { StickshiftError } from '../protocol/errors.ts';

/** One process of an installation. */
export interface ProcessPlan {
  /** Unique; also the name of its log file. */
  readonly name: string;
  /** Default: this `node`. Another program is not told when the supervisor is killed. */
  readonly command?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Answers 2xx once the process is ready; `redis://host:port` answers PING. */
  readonly readyUrl: string;
}

export type ProcessState = 'starting' | 'running' | 'stopped';

interface Running {
  readonly plan: ProcessPlan;
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  /** An exit from now on is what somebody asked for. */
  expected: boolean;
  state: ProcessState;
}

export interface SupervisorOptions {
  readonly logDirectory: string;
  /** A process that was running ended by itself. `how` reads like `exited with code 1`. */
  readonly onUnexpectedExit: (name: string, how: string) => void;
}

const READY_WITHIN_MS = 20_000;
const READY_POLL_MS = 40;
const STOP_WITHIN_MS = 4_000;
const LOG_TAIL_LINES = 15;
const LEAVE_WITH_PARENT = fileURLToPath(new URL('./leave-with-parent.ts', import.meta.url));

/**
 * Starts processes, kills and restarts them, and leaves none behind: not on {@link stop}, not when this process exits
 * for whatever reason, and (through `leave-with-parent.ts`) not even when this process is killed.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  /** In the order of their start. */
  readonly #processes = new Map<string, Running>();
  readonly #killAll = () => {
    for (const { child } of this.#processes.values()) killGroup(child);
  };
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    process.on('exit', this.#killAll);
  }

  /** Resolves when the process is ready; rejects, with the end of its log, when it exits first or takes too long. */
  async start(plan: ProcessPlan): Promise<void> {
    if (this.#stopping) throw new StickshiftError('INTERNAL', 'everything is being stopped');
    if (this.state(plan.name) !== 'stopped')
      throw new StickshiftError('BAD_REQUEST', `${plan.name} is running already`);
    const running = this.#spawn(plan);
    this.#processes.set(plan.name, running);
    const ended = new AbortController();
    try {
      await Promise.race([
        answers(plan.readyUrl, AbortSignal.any([ended.signal, AbortSignal.timeout(READY_WITHIN_MS)])),
        running.exited.then((how) => Promise.reject(new Error(how))),
      ]);
    } catch (error) {
      ended.abort();
      await this.#end(running, 'SIGKILL');
      const reason =
        error instanceof Error && error.name !== 'TimeoutError' ? error.message : 'was not ready';
      const log = await this.#logTail(plan.name);
      throw new StickshiftError(
        'INTERNAL',
        `${plan.name} did not start: it ${reason}. Its log ends:\n${log}`,
      );
    }
    running.state = 'running';
  }

  /** SIGKILL: no handler runs, nothing is flushed. Resolves when the process is gone. */
  async kill(name: string): Promise<void> {
    const running = this.#processes.get(name);
    if (running) await this.#end(running, 'SIGKILL');
  }

  /** To the process and whatever it started; nothing happens when it does not run. */
  signal(name: string, signal: NodeJS.Signals): void {
    const running = this.#processes.get(name);
    if (running) signalGroup(running.child, signal);
  }

  /** A message to a process that runs `node`. */
  send(name: string, message: object): void {
    const child = this.#processes.get(name)?.child;
    if (child?.connected) child.send(message);
  }

  state(name: string): ProcessState {
    return this.#processes.get(name)?.state ?? 'stopped';
  }

  /** Process IDs of all that run, by name. */
  pids(): Record<string, number> {
    const pids: Record<string, number> = {};
    for (const [name, { child, state }] of this.#processes) {
      if (state !== 'stopped' && child.pid !== undefined) pids[name] = child.pid;
    }
    return pids;
  }

  /** SIGTERM to every process, SIGKILL to those that are still there after a few seconds. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#processes.values()].map((running) => this.#end(running, 'SIGTERM')));
    process.removeListener('exit', this.#killAll);
  }

  #spawn(plan: ProcessPlan): Running {
    const log = openSync(this.#logFile(plan.name), 'a');
    const isNode = plan.command === undefined;
    const args = isNode ? ['--import', LEAVE_WITH_PARENT, ...plan.args] : plan.args;
    const child = spawn(plan.command ?? process.execPath, args, {
      // A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops the others in order.
      detached: true,
      env: { ...inheritedEnv(), ...plan.env },
      stdio: ['ignore', log, log, isNode ? 'ipc' : 'ignore'],
    });
    closeSync(log);
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be run: ${error.message}`));
      child.once('exit', (code, signal) => {
        resolve(signal ? `was ended by ${signal}` : `exited with code ${code}`);
      });
    });
    const running: Running = { plan, child, exited, expected: false, state: 'starting' };
    void exited.then((how) => {
      const wasRunning = running.state === 'running';
      running.state = 'stopped';
      if (wasRunning && !running.expected) this.#options.onUnexpectedExit(plan.name, how);
    });
    return running;
  }

  async #end(running: Running, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    running.expected = true;
    if (running.state === 'stopped') return;
    if (signal === 'SIGKILL') killGroup(running.child);
    else running.child.kill(signal);
    const patience = new AbortController();
    await Promise.race([
      running.exited,
      sleep(STOP_WITHIN_MS, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
    if (running.child.exitCode === null && running.child.signalCode === null) killGroup(running.child);
    await running.exited;
  }

  #logFile(name: string): string {
    return join(this.#options.logDirectory, `${name}.log`);
  }

  async #logTail(name: string): Promise<string> {
    const log = await readFile(this.#logFile(name), 'utf8').catch(() => '');
    const lines = log.trimEnd().split('\n').slice(-LOG_TAIL_LINES);
    return lines.map((line) => `  ${line}`).join('\n');
  }
}

function killGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGKILL');
}

/** The process and whatever it may have started itself. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // Gone in the meantime, which is what was wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Settings of another Stickshift in this shell must not reach the demo's processes. */
function inheritedEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('STICKSHIFT_')));
}

async function answers(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const asked = url.startsWith('redis:') ? redisAnswers(url) : httpAnswers(url, signal);
    // Not listening yet.
    if (await asked.catch(() => false)) return;
    await sleep(READY_POLL_MS);
  }
}

async function httpAnswers(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal });
  await response.body?.cancel();
  return response.ok;
}

async function redisAnswers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    socket.write('PING\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString().startsWith('+PONG');
  } finally {
    socket.destroy();
  }
}
