import { type ConfigInput, configSchema } from '../../config/schema.ts';
import { type RunningGateway, startGateway } from '../../gateway/gateway.ts';
import { type RecordedLog, recordedLog } from '../../gateway/testing/recorded-log.ts';
import { emptyStore } from './empty-store.ts';
import { FakeAgent } from './fake-agent.ts';
import { seesAll } from './gateway-status.ts';
import { HEALTH_PATH, RecordingBackend } from './recording-backend.ts';

export const GATEWAY_SECRET = 'a secret of the tests, long enough to be one';

/** A real gateway in this process, with one pool of one recording backend and an agent that keeps no sessions. */
export class GatewayUnderTest {
  readonly backend: RecordingBackend;
  readonly agent: FakeAgent;
  readonly port: number;
  readonly adminUrl: string;
  readonly log: RecordedLog;
  readonly #gateway: RunningGateway;

  private constructor(
    gateway: RunningGateway,
    backend: RecordingBackend,
    agent: FakeAgent,
    log: RecordedLog,
  ) {
    this.#gateway = gateway;
    this.backend = backend;
    this.agent = agent;
    this.log = log;
    this.adminUrl = gateway.adminUrl;
    this.port = Number(new URL(gateway.url).port);
  }

  /**
   * @param settings - of the gateway, over ports of its own choice
   * @param pool - of the pool, over one backend and a session in the cookie `sid`
   */
  static async start(
    settings: ConfigInput['gateway'] = {},
    pool: Partial<NonNullable<ConfigInput['pools']>[string]> = {},
  ): Promise<GatewayUnderTest> {
    const backend = await RecordingBackend.start();
    const agent = await FakeAgent.start({ backend: 'app-1', application: 'app' });
    const config = configSchema.parse({
      secret: GATEWAY_SECRET,
      gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' }, ...settings },
      pools: {
        app: {
          session: { cookie: 'sid' },
          // Ejecting the only backend for the answers it is told to give would fail the next test.
          ejection: { failures: 1_000_000 },
          health: { path: HEALTH_PATH, rise: 1 },
          backends: { 'app-1': { url: backend.url, agent: agent.url } },
          ...pool,
        },
      },
    } satisfies ConfigInput);
    const log = recordedLog();
    const gateway = await startGateway({ config, logger: log.logger, store: emptyStore() });
    await seesAll(gateway);
    return new GatewayUnderTest(gateway, backend, agent, log);
  }

  async stop(): Promise<void> {
    await this.#gateway.stop();
    await this.backend.stop();
    await this.agent.stop();
  }
}
