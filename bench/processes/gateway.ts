import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { findPorts } from '../../demo/ports.ts';
import { FakeAgent } from '../../test/services/fake-agent.ts';
import { startService } from './service.ts';
import { asTarget, type Target } from './target.ts';

export type PoolInput = NonNullable<ConfigInput['pools']>[string];

/** A gateway process and where it can be asked. */
export interface GatewayProcess extends Target {
  readonly adminUrl: string;
}

/** @param configFile - names a `gateway` that listens on `port` and `adminPort` */
export async function startGateway(options: {
  readonly directory: string;
  readonly configFile: string;
  readonly port: number;
  readonly adminPort: number;
  /** Descriptor of a file for its log. */
  readonly logTo?: number;
}): Promise<GatewayProcess> {
  const { directory, configFile, port, adminPort, ...log } = options;
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const child = await startService({
    args: ['gateway', '--config', configFile],
    directory,
    readyUrl: `${adminUrl}/readyz`,
    ...log,
  });
  return { ...asTarget('gateway', child, port), adminUrl };
}

/** The gateway before one backend whose agent is ready, and keeps no sessions. */
export async function startGatewayProcess(
  backendPort: number,
  pool: Partial<PoolInput> = {},
  { lane }: { readonly lane?: 'fast' | 'full' } = {},
): Promise<Target> {
  await using undo = new AsyncDisposableStack();
  const agent = await FakeAgent.start({ backend: 'app-1', application: 'app' });
  undo.defer(() => agent.stop());
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-bench-'));
  undo.defer(() => rm(directory, { recursive: true, force: true }));

  const [port = 0, adminPort = 0] = await findPorts(2);
  const config: ConfigInput = {
    secret: 'a secret of the benchmark, long enough to be one',
    store: { url: `sqlite:${join(directory, 'sessions.sqlite')}` },
    gateway: {
      listen: `127.0.0.1:${port}`,
      admin: { listen: `127.0.0.1:${adminPort}` },
      fastLane: lane !== 'full',
    },
    pools: {
      app: {
        session: { cookie: 'sid' },
        health: { path: '/', rise: 1 },
        backends: { 'app-1': { url: `http://127.0.0.1:${backendPort}`, agent: agent.url } },
        ...pool,
      },
    },
  };
  const configFile = join(directory, 'stickshift.yaml');
  await writeFile(configFile, stringify(config));
  const gateway = undo.use(await startGateway({ directory, configFile, port, adminPort }));
  const started = undo.move();
  const name = lane === undefined ? 'stickshift' : `${lane} lane`;
  return { ...gateway, name, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
