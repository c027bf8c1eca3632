import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ConfigInput, configSchema } from '../../config/schema.ts';
import { type RunningGateway, startGateway } from '../../gateway/gateway.ts';
import { type RecordedLog, recordedLog } from '../../gateway/testing/recorded-log.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import { emptyStore } from './empty-store.ts';
import { FakeAgent } from './fake-agent.ts';
import { seesAll } from './gateway-status.ts';

export const SITE_SECRET = 'a secret of the tests, long enough to be one';

/** An app server of `node:http` that answers what the test at hand wants, and its agent. */
export interface SmallApp {
  readonly id: string;
  readonly server: Server;
  readonly agent: FakeAgent;
  /** Answers everything but the health checks. */
  serve: RequestListener;
  /** Connections that carried a request of a client. */
  readonly connections: Set<unknown>;
  /** Requests that arrived whole or in part, health checks apart. */
  requests: number;
}

/** A gateway in this process before two small apps; its store knows the one record that a test puts there. */
export class SmallSite {
  readonly gateway: RunningGateway;
  readonly apps: readonly [SmallApp, SmallApp];
  readonly log: RecordedLog;
  /** What a lookup answers; throw to have the store fail. */
  lookup: () => RecordSummary | undefined;
  /** How long the store says that it goes on settling. */
  settlingMs = 0;
  #stopped = false;

  private constructor(
    gateway: RunningGateway,
    apps: readonly [SmallApp, SmallApp],
    store: { lookup: SmallSite['lookup']; settlingMs: () => number },
    log: RecordedLog,
  ) {
    this.gateway = gateway;
    this.apps = apps;
    this.log = log;
    this.lookup = store.lookup;
    store.lookup = () => this.lookup();
    store.settlingMs = () => this.settlingMs;
  }

  static async start(
    options: {
      gateway?: ConfigInput['gateway'];
      pool?: Partial<NonNullable<ConfigInput['pools']>[string]>;
      weights?: Readonly<Record<string, number>>;
      /** Where an app seems to be, if not where it is. */
      urls?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<SmallSite> {
    const apps = [await startApp('app-1'), await startApp('app-2')] as const;
    const config = configSchema.parse({
      secret: SITE_SECRET,
      gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' }, ...options.gateway },
      pools: {
        shop: {
          session: { cookie: 'sid' },
          // Tests break their apps on purpose; health and ejection have tests of their own.
          health: { fall: 1_000_000 },
          ejection: { failures: 1_000_000 },
          backends: Object.fromEntries(
            apps.map((app) => [
              app.id,
              {
                url:
                  options.urls?.[app.id] ?? `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
                agent: app.agent.url,
                weight: options.weights?.[app.id],
              },
            ]),
          ),
          ...options.pool,
        },
      },
    } satisfies ConfigInput);
    const played: { lookup: SmallSite['lookup']; settlingMs: () => number } = {
      lookup: () => undefined,
      settlingMs: () => 0,
    };
    const store: SnapshotStore = {
      ...emptyStore(),
      lookup: async () => played.lookup(),
      get settlingMs() {
        return played.settlingMs();
      },
    };
    const log = recordedLog();
    const gateway = await startGateway({ config, logger: log.logger, store });
    await seesAll(gateway);
    return new SmallSite(gateway, apps, played, log);
  }

  get url(): string {
    return this.gateway.url;
  }

  get port(): number {
    return Number(new URL(this.gateway.url).port);
  }

  app(id: string): SmallApp {
    const app = this.apps.find((candidate) => candidate.id === id);
    if (!app) throw new Error(`no app ${id}`);
    return app;
  }

  /** Both apps answer alike. */
  serve(listener: (app: SmallApp) => RequestListener): void {
    for (const app of this.apps) {
      app.serve = listener(app);
      app.requests = 0;
      app.connections.clear();
      app.agent.calls.length = 0;
    }
    this.lookup = () => undefined;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.gateway.stop();
    for (const app of this.apps) {
      app.server.closeAllConnections();
      app.server.close();
      await app.agent.stop();
    }
  }
}

/** A record as a lookup answers it. */
export function recordOf(owner: string, epoch: number): RecordSummary {
  const deadlines = { idleAt: Date.now() + 60_000, absoluteAt: undefined };
  return { state: 'active', owner, epoch, seq: 1, size: 10, committedAt: Date.now(), ageMs: 0, deadlines };
}

async function startApp(id: string): Promise<SmallApp> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = await FakeAgent.start({ backend: id, application: 'shop' });
  const app: SmallApp = {
    id,
    server,
    agent,
    serve: (_request, response) => response.end(id),
    connections: new Set(),
    requests: 0,
  };
  server.on('request', (request, response) => {
    if (request.url === '/healthz') {
      response.end();
      return;
    }
    app.requests += 1;
    app.connections.add(request.socket);
    app.serve(request, response);
  });
  return app;
}
