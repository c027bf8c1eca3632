import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { GatewayAdmin } from '../../demo/gateway-admin.ts';
import { findPorts } from '../../demo/ports.ts';
import { type ProcessPlan, Supervisor } from '../../demo/supervisor.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { type SessionKey, sessionKeyDeriver } from '../../protocol/session-key.ts';
import { phpSettings } from '../../test/services/php.ts';
import { commitTap, type ObservedCommit } from '../network/commit-tap.ts';
import { Link } from '../network/link.ts';
import { agentConfiguration, gatewayConfiguration, type PoolPolicy, type Ports } from './configuration.ts';
import { JournalDisk } from './journal-disk.ts';
import {
  agentOf,
  BACKENDS,
  type BackendName,
  GATEWAYS,
  type GatewayName,
  LINKS,
  type LinkName,
  type Pool,
  poolOf,
  REDIS_SERVERS,
} from './layout.ts';
import { RedisPair } from './redis-pair.ts';

const file = (path: string) => join(import.meta.dirname, path);
const STICKSHIFT = join(import.meta.dirname, '..', '..', 'bin', 'stickshift.js');

/** Whichever of the servers is the primary, these lead to it. */
const REDIS_LINKS = LINKS.filter((name) => /→(redis|primary)$/.test(name));

export interface InstallationOptions {
  /** Configurations, logs and data; exists, and is left behind. */
  readonly directory: string;
  readonly policies: Readonly<Record<Pool, PoolPolicy>>;
  /** Threads of each gateway that serve clients. */
  readonly workers: number;
  /** A module that every agent imports before anything else; CHAOS_STORE_URL in its environment is the agent's store. */
  readonly agentPreload?: string;
  readonly logLevel: string;
  readonly onCommit: (commit: ObservedCommit) => void;
  /** A process ended that nobody has killed. */
  readonly onUnexpectedExit: (name: string, how: string) => void;
}

/** Two gateways, four backends with their agents, two Redis servers, all of them processes, and the links between them. */
export class Installation {
  readonly redis: RedisPair;
  readonly ports: Ports;
  readonly #options: InstallationOptions;
  readonly #supervisor: Supervisor;
  readonly #links = new Map<LinkName, Link>();
  readonly #plans = new Map<string, ProcessPlan>();
  readonly #disks = new Map<BackendName, JournalDisk>();
  readonly #secret = randomBytes(32).toString('hex');
  readonly #appSecret = randomBytes(16).toString('hex');

  private constructor(options: InstallationOptions, ports: Ports) {
    this.#options = options;
    this.ports = ports;
    this.#supervisor = new Supervisor({
      logDirectory: join(options.directory, 'logs'),
      onUnexpectedExit: options.onUnexpectedExit,
    });
    for (const name of LINKS) this.#links.set(name, this.#newLink(name));
    this.redis = new RedisPair({
      supervisor: this.#supervisor,
      directory: options.directory,
      ports: ports.redis,
      links: () => REDIS_LINKS.map((name) => this.link(name)),
      replicationPort: ports.link['replica→primary'],
    });
  }

  /** Resolves when every process listens; whether the gateways know of it yet is another question. */
  static async start(options: InstallationOptions): Promise<Installation> {
    const installation = new Installation(options, await choosePorts());
    try {
      await installation.#startAll();
    } catch (error) {
      await installation.stop();
      throw error;
    }
    return installation;
  }

  link(name: LinkName): Link {
    const link = this.#links.get(name);
    if (!link) throw new Error(`no link ${name}`);
    return link;
  }

  disk(backend: BackendName): JournalDisk {
    const disk = this.#disks.get(backend);
    if (!disk) throw new Error(`no disk of ${backend}`);
    return disk;
  }

  admin(gateway: GatewayName): GatewayAdmin {
    return new GatewayAdmin(`http://127.0.0.1:${this.ports.admin[gateway]}`);
  }

  /** Keys under which logs and store know an application's sessions. */
  sessionKeys(pool: Pool): (sessionId: string) => SessionKey {
    return sessionKeyDeriver(deriveSecrets(this.#secret).sessionKey, pool);
  }

  isRunning(name: string): boolean {
    return this.#supervisor.state(name) === 'running';
  }

  /** SIGKILL; from then on, whoever connects is refused. */
  async kill(name: string): Promise<void> {
    await this.#supervisor.kill(name);
    await this.#setTargetUp(name, false);
  }

  async restart(name: string): Promise<void> {
    const plan = this.#plans.get(name);
    if (!plan) throw new Error(`no process ${name}`);
    await this.#start(plan);
  }

  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#supervisor.signal(name, signal);
  }

  stepClock(name: string, offsetMs: number): void {
    this.#supervisor.send(name, { clockOffsetMs: offsetMs });
  }

  /** What a PHP server has on disk when its machine gets a new one. */
  async emptySessionDirectory(backend: BackendName): Promise<void> {
    const directory = this.#sessionDirectory(backend);
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
  }

  /** Ends every process. May be called at any time. */
  async stop(): Promise<void> {
    // A stopped process would not hear that it is to end.
    for (const name of this.processNames()) this.signal(name, 'SIGCONT');
    await this.#supervisor.stop();
    for (const disk of this.#disks.values()) disk.unmount();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  processNames(): string[] {
    return [...this.#plans.keys(), ...REDIS_SERVERS];
  }

  /** Nobody gets through to it before it listens. */
  async #start(plan: ProcessPlan): Promise<void> {
    await this.#supervisor.start(plan);
    await this.#setTargetUp(plan.name, true);
  }

  async #startAll(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(join(directory, 'logs'), { recursive: true });
    for (const backend of BACKENDS) {
      this.#disks.set(backend, await JournalDisk.make(join(directory, backend, 'journal')));
      await mkdir(this.#sessionDirectory(backend), { recursive: true, mode: 0o700 });
    }
    await this.redis.start();
    await Promise.all(REDIS_LINKS.map((name) => this.link(name).setTargetUp(true)));
    for (const backend of BACKENDS) {
      this.#addPlan(await this.#agentPlan(backend));
      this.#addPlan(poolOf(backend) === 'php' ? this.#phpPlan(backend) : this.#expressPlan(backend));
    }
    for (const gateway of GATEWAYS) this.#addPlan(await this.#gatewayPlan(gateway));
    await Promise.all([...this.#plans.values()].map((plan) => this.#start(plan)));
  }

  #addPlan(plan: ProcessPlan): void {
    this.#plans.set(plan.name, plan);
  }

  async #agentPlan(backend: BackendName): Promise<ProcessPlan> {
    const { agentPreload } = this.#options;
    const config = agentConfiguration(backend, this.#configuration, {
      socket: this.#socket(backend),
      sessions: this.#sessionDirectory(backend),
      journal: this.disk(backend).directory,
    });
    const configFile = await this.#writeConfig(agentOf(backend), config);
    return {
      name: agentOf(backend),
      args: [
        ...['--import', file('clock.ts')],
        ...(agentPreload ? ['--import', agentPreload] : []),
        ...[STICKSHIFT, 'agent', backend, '--config', configFile],
      ],
      env: {
        STICKSHIFT_LOG_LEVEL: this.#options.logLevel,
        CHAOS_STORE_URL: `redis://127.0.0.1:${this.ports.link[`${agentOf(backend)}→redis`]}`,
      },
      readyUrl: `http://127.0.0.1:${this.ports.agent[backend]}/healthz`,
    };
  }

  async #gatewayPlan(gateway: GatewayName): Promise<ProcessPlan> {
    const config = gatewayConfiguration(gateway, this.#configuration);
    const configFile = await this.#writeConfig(gateway, config);
    return {
      name: gateway,
      args: ['--import', file('clock.ts'), STICKSHIFT, 'gateway', '--config', configFile],
      env: { STICKSHIFT_LOG_LEVEL: this.#options.logLevel },
      readyUrl: `http://127.0.0.1:${this.ports.admin[gateway]}/healthz`,
    };
  }

  #expressPlan(backend: BackendName): ProcessPlan {
    const port = this.ports.app[backend];
    return {
      name: backend,
      args: ['--import', file('clock.ts'), file('apps/express-app.ts')],
      env: {
        APP_NAME: backend,
        APP_PORT: String(port),
        APP_SECRET: this.#appSecret,
        APP_AGENT: this.#socket(backend),
      },
      readyUrl: `http://127.0.0.1:${port}/healthz`,
    };
  }

  #phpPlan(backend: BackendName): ProcessPlan {
    const port = this.ports.app[backend];
    return {
      name: backend,
      command: 'php',
      args: [
        ...phpSettings(this.#sessionDirectory(backend)),
        ...['-S', `127.0.0.1:${port}`, file('apps/app.php')],
      ],
      env: { APP_NAME: backend },
      readyUrl: `http://127.0.0.1:${port}/healthz`,
    };
  }

  get #configuration() {
    const { policies, workers } = this.#options;
    return { secret: this.#secret, ports: this.ports, policies, workers };
  }

  async #writeConfig(name: string, config: object): Promise<string> {
    const path = join(this.#options.directory, `${name}.yaml`);
    await writeFile(path, stringify(config), { mode: 0o600 });
    return path;
  }

  #socket(backend: BackendName): string {
    return join(this.#options.directory, `${backend}.sock`);
  }

  #sessionDirectory(backend: BackendName): string {
    return join(this.#options.directory, backend, 'sessions');
  }

  #newLink(name: LinkName): Link {
    const { ports } = this;
    const far = name.slice(name.indexOf('→') + 1);
    const backend = BACKENDS.find((one) => far === one || far === agentOf(one));
    const targetPort = backend
      ? (far === backend ? ports.app : ports.agent)[backend]
      : ports.redis['redis-1'];
    const { onCommit } = this.#options;
    const observe = name.endsWith('-agent→redis') ? { observe: () => commitTap(onCommit) } : {};
    return new Link({ name, port: ports.link[name], targetPort, ...observe });
  }

  async #setTargetUp(name: string, up: boolean): Promise<void> {
    const links = LINKS.filter((link) => link.endsWith(`→${name}`));
    await Promise.all(links.map((link) => this.link(link).setTargetUp(up)));
  }
}

async function choosePorts(): Promise<Ports> {
  const named = [
    ...GATEWAYS.flatMap((name) => [`gateway ${name}`, `admin ${name}`]),
    ...BACKENDS.flatMap((name) => [`app ${name}`, `agent ${name}`]),
    ...REDIS_SERVERS.map((name) => `redis ${name}`),
    ...LINKS.map((name) => `link ${name}`),
  ];
  const found = await findPorts(named.length);
  const of = <Name extends string>(kind: string, names: readonly Name[]) =>
    Object.fromEntries(names.map((name) => [name, found[named.indexOf(`${kind} ${name}`)] ?? 0])) as Record<
      Name,
      number
    >;
  return {
    gateway: of('gateway', GATEWAYS),
    admin: of('admin', GATEWAYS),
    app: of('app', BACKENDS),
    agent: of('agent', BACKENDS),
    redis: of('redis', REDIS_SERVERS),
    link: of('link', LINKS),
  };
}
