import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Config, type ConfigInput, configSchema } from '../../config/schema.ts';
import { recordedLog } from '../../gateway/testing/recorded-log.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { type RunningAgent, startAgent } from '../../session-agent/agent.ts';
import { StickshiftStore } from '../../session-agent/express-client/stickshift-store.ts';
import { openSource } from '../../session-agent/sources/open-source.ts';
import { openStore } from '../../store/open-store.ts';
import type { SnapshotStore } from '../../store/snapshot-store.ts';
import { eventually } from './eventually.ts';
import { smallShop } from './small-shop.ts';

export const TEST_SECRET = 'a secret of the tests, long enough to be one';
/** Short, so that a store which stalls does not make a test long. */
export const COMMAND_TIMEOUT = '300ms';

export interface ShopServerOptions {
  readonly storeUrl: string;
  /** Path of the Unix socket between shop and agent. */
  readonly socket: string;
  readonly settings?: Pick<NonNullable<ConfigInput['agents']>[string], 'limits' | 'lifetime'>;
  readonly encryptionKeys?: readonly string[];
}

/** A shop and the agent beside it. They start and stop together, and keep their ports. */
export class ShopServer {
  readonly id: string;
  /** What slow requests to the shop wait for; see `smallShop`. */
  pause: () => Promise<void> = () => Promise.resolve();
  /** What health checks of the shop wait for. */
  beforeHealth: () => Promise<void> = () => Promise.resolve();
  /** The agent's log, from all of its lives. */
  readonly log = recordedLog();
  readonly #options: ShopServerOptions;
  #ports = { app: 0, agent: '127.0.0.1:0' };
  #running: { app: Server; sessions: StickshiftStore; agent: RunningAgent; store: SnapshotStore } | undefined;

  constructor(id: string, options: ShopServerOptions) {
    this.id = id;
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#ports.app}`;
  }

  get agentUrl(): string {
    return `http://${this.#ports.agent}`;
  }

  /** The agent's; `undefined` while this server is stopped. */
  get store(): SnapshotStore | undefined {
    return this.#running?.store;
  }

  /** Resolves when the agent is ready. */
  async start({ encryptionKeys = this.#options.encryptionKeys } = {}): Promise<void> {
    const { config, agent: agentConfig } = this.#config();
    const { logger } = this.log;
    const { agentToken: token, installation } = deriveSecrets(TEST_SECRET);
    const store = await openStore(config.store, { installation, logger });
    const agent = await startAgent({
      config: agentConfig,
      name: this.id,
      secret: TEST_SECRET,
      ...(encryptionKeys && { encryptionKeys }),
      store,
      source: await openSource({ config: agentConfig, backend: this.id, token, logger }),
      logger,
      application: 'shop',
      // At its first start nobody can trust in an earlier one, and tests need not wait for that to end.
      leases: { formerLife: this.#ports.app !== 0 },
      // Whoever is held up here is so together with everybody whom it might have missed.
      standstillMs: 600_000,
    });
    const sessions = new StickshiftStore({ agent: this.#options.socket });
    sessions.on('agentDown', () => undefined);
    const app = await this.#serve(sessions);
    this.#ports = { app: (app.address() as AddressInfo).port, agent: agent.address };
    this.#running = { app, sessions, agent, store };
    await eventually(`the agent of ${this.id} is ready`, async () => {
      return (await fetch(`http://${agent.address}/readyz`)).ok;
    });
  }

  /** The app loses its memory. The agent saves what it can and stays the owner of its sessions. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    const { app, sessions, agent, store } = this.#running;
    this.#running = undefined;
    app.closeAllConnections();
    app.close();
    await agent.stop();
    sessions.close();
    await store.close();
  }

  #config() {
    const config = configSchema.parse({
      secret: TEST_SECRET,
      store: { url: this.#options.storeUrl, commandTimeout: COMMAND_TIMEOUT },
      agents: {
        [this.id]: {
          pool: 'shop',
          listen: this.#ports.agent,
          source: { type: 'express', listen: this.#options.socket },
          // Beside the socket, which is in a temporary directory.
          journal: { directory: `${this.#options.socket}.journal` },
          ...this.#options.settings,
        },
      },
    } satisfies ConfigInput);
    return { config, agent: config.agents[this.id] as Config['agents'][string] };
  }

  async #serve(sessions: StickshiftStore): Promise<Server> {
    const shop = smallShop(sessions, () => this.pause());
    const server = createServer((request, response) => {
      response.setHeader('X-Server', this.id);
      if (request.url === '/healthz') void this.beforeHealth().then(() => response.end());
      else shop(request, response);
    });
    server.listen(this.#ports.app, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }
}
