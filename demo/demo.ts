import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendStatus } from '../gateway/admin-api/admin-api-types.ts';
import { asStickshiftError, StickshiftError } from '../protocol/errors.ts';
import {
  type BackendState,
  type BackendView,
  type ControlServer,
  type Deed,
  type DemoDeeds,
  startControlServer,
} from './control/control-server.ts';
import type { DemoState } from './control/state-file.ts';
import { GatewayAdmin } from './gateway-admin.ts';
import { type BackendPlan, type Installation, planInstallation } from './installation.ts';
import {
  DEFAULT_ADMIN_PORT,
  DEFAULT_BACKENDS,
  DEFAULT_PORT,
  type DemoOptions,
  MOST_BACKENDS,
} from './options.ts';
import { claimPort } from './ports.ts';
import { Supervisor } from './supervisor.ts';

const UP_WITHIN_MS = 20_000;
const POLL_MS = 50;

/** What the demo tells of itself while it runs. */
export interface DemoEvents {
  /** Something went wrong that the demo survives. */
  readonly onNotice: (line: string) => void;
  /** Somebody did something to a server, from the page or another terminal, and it is done. */
  readonly onDeed: (line: string) => void;
  /** The gateway ended by itself: without it there is nothing to show. */
  readonly onGatewayLost: (how: string) => void;
}

type FullOptions = DemoOptions & Required<Pick<DemoOptions, 'port' | 'adminPort' | 'backends'>>;

/** An installation of its own: gateway, shops, agents. Whoever prepares it must {@link stop} it. */
export class Demo implements DemoDeeds {
  readonly stateDirectory: string;
  readonly #options: FullOptions;
  readonly #events: DemoEvents;
  readonly #supervisor: Supervisor;
  readonly #token = randomBytes(24).toString('base64url');
  /** Deeds on one server happen one after the other. */
  readonly #turns = new Map<string, Promise<void>>();
  #control: ControlServer | undefined;
  #installation: Installation | undefined;
  #admin: GatewayAdmin | undefined;

  private constructor(options: FullOptions, stateDirectory: string, events: DemoEvents) {
    this.#options = options;
    this.stateDirectory = stateDirectory;
    this.#events = events;
    this.#supervisor = new Supervisor({
      logDirectory: join(stateDirectory, 'logs'),
      onUnexpectedExit: (name, how) => {
        if (name === 'gateway') events.onGatewayLost(how);
        else events.onNotice(`${name} ${how}; its log is ${join(stateDirectory, 'logs', `${name}.log`)}`);
      },
    });
  }

  /**
   * Checks the options, and that the ports are free; starts nothing yet.
   *
   * @throws StickshiftError `PORT_IN_USE`, `CONFIG_INVALID`
   */
  static async prepare(options: DemoOptions, events: DemoEvents): Promise<Demo> {
    const { port = DEFAULT_PORT, adminPort = DEFAULT_ADMIN_PORT, backends = DEFAULT_BACKENDS } = options;
    if (!Number.isInteger(backends) || backends < 1 || backends > MOST_BACKENDS) {
      throw new StickshiftError('CONFIG_INVALID', `--backends must be a number from 1 to ${MOST_BACKENDS}`);
    }
    if (port !== 0 && port === adminPort) {
      throw new StickshiftError('CONFIG_INVALID', '--port and --admin-port must differ');
    }
    await claimPort(port, '--port');
    await claimPort(adminPort, '--admin-port');
    const stateDirectory = await mkdtemp(join(tmpdir(), 'stickshift-demo-'));
    return new Demo({ ...options, port, adminPort, backends }, stateDirectory, events);
  }

  /**
   * Resolves when every server takes clients.
   *
   * @throws StickshiftError `INTERNAL` with the log of a process that did not start
   */
  async start(): Promise<void> {
    await mkdir(join(this.stateDirectory, 'logs'));
    this.#control = await startControlServer({
      token: this.#token,
      deeds: this,
      onLateError: (error) => this.#events.onNotice(error.message),
    });
    const { port, adminPort, store, backends: count } = this.#options;
    this.#installation = await planInstallation({
      stateDirectory: this.stateDirectory,
      port,
      adminPort,
      storeUrl:
        store || process.env.STICKSHIFT_STORE || `sqlite:${join(this.stateDirectory, 'sessions.sqlite')}`,
      backends: count,
      control: { url: this.#control.url, token: this.#token },
    });
    this.#admin = new GatewayAdmin(this.#installation.adminUrl);
    const { gateway, backends } = this.#installation;
    await allOrFirstError([
      this.#supervisor.start(gateway),
      ...[...backends.values()].map((backend) => this.#startBackend(backend)),
    ]);
    await this.#untilAllUp();
  }

  /** Kill takes the app server *and* its agent, by SIGKILL; nothing brings them back but `restart`. */
  async perform(deed: Deed, id: string): Promise<void> {
    const backend = this.#backend(id);
    const former = this.#turns.get(id) ?? Promise.resolve();
    // Whoever asked for the former deed has heard how it went.
    const turn = former.catch(() => undefined).then(() => this.#perform(deed, backend));
    this.#turns.set(id, turn);
    await turn;
  }

  async backends(): Promise<BackendView[]> {
    const { installation, admin } = this.#parts();
    const statuses = await admin.backends();
    return [...installation.backends.values()].map(({ id, app, agent }) => {
      const processes = [this.#supervisor.state(app.name), this.#supervisor.state(agent.name)];
      const status = statuses.find((one) => one.id === id);
      const killed = processes.every((state) => state === 'stopped');
      return {
        id,
        state: killed ? 'killed' : processes.includes('starting') ? 'starting' : stateOf(status),
        sessions: !killed && status?.agent.state === 'ok' ? status.agent.sessions : null,
        inFlight: killed ? null : (status?.inFlight ?? null),
      };
    });
  }

  /** For the state file, and for tests that look on. */
  describe(): DemoState & { readonly storeUrl: string; readonly processes: Record<string, number> } {
    const { installation } = this.#parts();
    return {
      pid: process.pid,
      gatewayUrl: installation.gatewayUrl,
      adminUrl: installation.adminUrl,
      controlUrl: this.#control?.url ?? '',
      controlToken: this.#token,
      stateDirectory: this.stateDirectory,
      storeUrl: installation.storeUrl,
      processes: this.#supervisor.pids(),
    };
  }

  /** Ends every process, and removes the state directory unless it is to be kept. May be called at any time. */
  async stop(): Promise<void> {
    await this.#control?.close();
    await this.#supervisor.stop();
    if (!this.#options.keepState) await rm(this.stateDirectory, { recursive: true, force: true });
  }

  async #perform(deed: Deed, { id, app, agent }: BackendPlan): Promise<void> {
    const { admin } = this.#parts();
    switch (deed) {
      case 'kill':
        await Promise.all([this.#supervisor.kill(app.name), this.#supervisor.kill(agent.name)]);
        return this.#events.onDeed(`${id} and its agent are killed`);
      case 'restart':
        await this.#startBackend({ id, app, agent });
        // It may have been drained when it was killed.
        await admin.setState(id, 'ready');
        return this.#events.onDeed(`${id} and its agent run again`);
      case 'drain':
        await admin.setState(id, 'drain');
        return this.#events.onDeed(`${id} is told to drain`);
      case 'ready':
        await admin.setState(id, 'ready');
        return this.#events.onDeed(`${id} is made ready`);
    }
  }

  /** Starts of the two what does not run. */
  async #startBackend({ app, agent }: BackendPlan): Promise<void> {
    const missing = [agent, app].filter(({ name }) => this.#supervisor.state(name) === 'stopped');
    await allOrFirstError(missing.map((plan) => this.#supervisor.start(plan)));
  }

  async #untilAllUp(): Promise<void> {
    const giveUp = performance.now() + UP_WITHIN_MS;
    for (;;) {
      const backends = await this.backends();
      if (backends.every(({ state }) => state === 'up')) return;
      if (performance.now() > giveUp) {
        const states = backends.map(({ id, state }) => `${id} is ${state}`).join(', ');
        throw new StickshiftError('INTERNAL', `not every server came up: ${states}`);
      }
      await sleep(POLL_MS);
    }
  }

  #backend(id: string): BackendPlan {
    const { backends } = this.#parts().installation;
    const backend = backends.get(id);
    if (backend) return backend;
    throw new StickshiftError(
      'NOT_FOUND',
      `the demo has no server ${id}; it has ${[...backends.keys()].join(', ')}`,
    );
  }

  #parts(): { installation: Installation; admin: GatewayAdmin } {
    if (this.#installation && this.#admin) return { installation: this.#installation, admin: this.#admin };
    throw new StickshiftError('INTERNAL', 'the demo has not started');
  }
}

function stateOf(status: BackendStatus | undefined): BackendState {
  if (!status?.up) return 'down';
  if (status.adminState === 'ready') return 'up';
  return status.drain?.state === 'complete' ? 'drained' : 'draining';
}

/** Waits for all, so that nothing is still starting when the first error is dealt with. */
async function allOrFirstError(tasks: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(tasks);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw asStickshiftError(failed.reason);
}
