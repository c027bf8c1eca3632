import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { type ConfigInput, configSchema } from '../../config/schema.ts';
import type { BackendStatus, StatusAnswer } from '../../gateway/admin-api/admin-api-types.ts';
import { type RunningGateway, startGateway } from '../../gateway/gateway.ts';
import { recordedLog } from '../../gateway/testing/recorded-log.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { type SessionKey, sessionKeyDeriver } from '../../protocol/session-key.ts';
import { openStore } from '../../store/open-store.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { eventually } from './eventually.ts';
import { startFragileWorker } from './fragile-worker.ts';
import { backendAt, sees, seesAll, statusOf } from './gateway-status.ts';
import { COMMAND_TIMEOUT, ShopServer, type ShopServerOptions, TEST_SECRET } from './shop-server.ts';
import { Visitor } from './visitor.ts';

export interface InstallationOptions {
  /** Default: an SQLite file of its own. */
  readonly storeUrl?: string;
  /** Where agents reach it, by backend, if not there. */
  readonly agentStoreUrls?: Readonly<Record<string, string>>;
  readonly gateway?: ConfigInput['gateway'];
  readonly pool?: Partial<NonNullable<ConfigInput['pools']>[string]>;
  readonly agents?: ShopServerOptions['settings'];
  readonly encryptionKeys?: readonly string[];
}

const IDS = ['app-1', 'app-2'] as const;

/** A whole installation in this process: a gateway, two Express shops with an agent beside each, and a real store. */
export class SmallInstallation implements AsyncDisposable {
  readonly servers: ReadonlyMap<string, ShopServer>;
  readonly storeUrl: string;
  /** What every gateway has logged. */
  readonly gatewayLog = recordedLog();
  /** Threads that the first gateway has started, if it has several workers. */
  readonly workers: Worker[] = [];
  readonly #options: InstallationOptions;
  readonly #directory: string;
  readonly #gateways: { readonly running: RunningGateway; readonly store: SnapshotStore }[] = [];

  private constructor(options: InstallationOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.storeUrl = options.storeUrl ?? `sqlite:${join(directory, 'sessions.sqlite')}`;
    const { agents: settings, encryptionKeys } = options;
    this.servers = new Map(
      IDS.map((id) => {
        const socket = join(directory, `${id}.sock`);
        const optional = { ...(settings && { settings }), ...(encryptionKeys && { encryptionKeys }) };
        const storeUrl = options.agentStoreUrls?.[id] ?? this.storeUrl;
        return [id, new ShopServer(id, { storeUrl, socket, ...optional })];
      }),
    );
  }

  static async start(options: InstallationOptions = {}): Promise<SmallInstallation> {
    const directory = await mkdtemp(join(tmpdir(), 'stickshift-small-'));
    const installation = new SmallInstallation(options, directory);
    for (const server of installation.servers.values()) await server.start();
    await installation.startGateway();
    return installation;
  }

  /** The first gateway. */
  get gateway(): RunningGateway {
    const [first] = this.#gateways;
    if (!first) throw new Error('no gateway was started');
    return first.running;
  }

  /**
   * One more gateway, that has learned nothing of what others know.
   *
   * @param reached - where it reaches app servers and agents, by backend, if not where they are
   */
  async startGateway(
    settings: ConfigInput['gateway'] = {},
    reached: {
      readonly apps?: Readonly<Record<string, string>>;
      readonly agents?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<RunningGateway> {
    const { gateway, pool } = this.#options;
    const config = configSchema.parse({
      secret: TEST_SECRET,
      store: { url: this.storeUrl, commandTimeout: COMMAND_TIMEOUT },
      gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' }, ...gateway, ...settings },
      pools: {
        shop: {
          session: { cookie: 'connect.sid', format: 'express' },
          health: { interval: '50ms', rise: 1 },
          backends: Object.fromEntries(
            [...this.servers.values()].map(({ id, url, agentUrl }) => [
              id,
              { url: reached.apps?.[id] ?? url, agent: reached.agents?.[id] ?? agentUrl },
            ]),
          ),
          ...pool,
        },
      },
    } satisfies ConfigInput);
    const { logger } = this.gatewayLog;
    const { installation } = deriveSecrets(TEST_SECRET);
    const store = await openStore(config.store, { installation, logger });
    const isFirst = this.#gateways.length === 0;
    const running = await startGateway({
      ...{ config, logger, store },
      startWorker: (number) => {
        const data = { number, config, logLevel: 'silent', version: 'test', instanceId: 'test' } as const;
        const worker = startFragileWorker(data);
        if (isFirst) this.workers.push(worker);
        return worker;
      },
    });
    this.#gateways.push({ running, store });
    await seesAll(running);
    return running;
  }

  server(id: string | undefined): ShopServer {
    const server = this.servers.get(id ?? '');
    if (!server) throw new Error(`no server ${id}`);
    return server;
  }

  /** The server that is not `id`. */
  other(id: string | undefined): ShopServer {
    return this.server(id === 'app-1' ? 'app-2' : 'app-1');
  }

  visitor(gateway = this.gateway): Visitor {
    return new Visitor(gateway.url);
  }

  keyOf(sessionId: string): SessionKey {
    return sessionKeyDeriver(deriveSecrets(TEST_SECRET).sessionKey, 'shop')(sessionId);
  }

  status(): Promise<StatusAnswer> {
    return statusOf(this.gateway);
  }

  backend(id: string): Promise<BackendStatus> {
    return backendAt(this.gateway, id);
  }

  /** Waits until the first gateway takes a server for up, or for down. */
  async sees(id: string, up: boolean): Promise<void> {
    await sees(this.gateway, id, up);
  }

  /** Waits until every gateway and every agent has the store again: each finds that out by itself, in its own time. */
  async reachesStore(): Promise<void> {
    for (const { store } of [...this.servers.values(), ...this.#gateways]) {
      if (store === undefined) continue;
      await eventually('the store answers', () =>
        store.backends().then(
          () => true,
          () => false,
        ),
      );
    }
  }

  /**
   * A store of the test's own, beside those of gateway and agents.
   *
   * @param url - a way that no trouble of the test is on
   */
  async openStore(url = this.storeUrl): Promise<SnapshotStore> {
    const { store } = configSchema.parse({ secret: TEST_SECRET, store: { url } });
    const { installation } = deriveSecrets(TEST_SECRET);
    return openStore(store, { installation, logger: recordedLog().logger });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { running, store } of this.#gateways) {
      await running.stop();
      await store.close();
    }
    for (const server of this.servers.values()) await server.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
