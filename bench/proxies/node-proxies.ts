import { closeSync, openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ConfigInput, configSchema } from '../../config/schema.ts';
import { FakeAgent } from '../../test/services/fake-agent.ts';
import { startGateway } from '../processes/gateway.ts';
import { startBareProxy } from '../processes/target.ts';
import type { ProxyOptions, StartProxy } from './proxy.ts';

/** The library alone: one target, no cookies. What the full lane is built on, and so what it cannot be cheaper than. */
export const startBare: StartProxy = async ({ servers, certificate, accessLog }) => {
  if (accessLog) return { leftOut: 'http-proxy-3 has no access log' };
  const proxy = await startBareProxy(servers[0]?.port ?? 0, certificate);
  return { ...proxy, version: packageVersion('node_modules/http-proxy-3/package.json') };
};

export const startStickshift =
  (fastLane: boolean): StartProxy =>
  async (options) => {
    const { directory, port, adminPort, servers, accessLog } = options;
    // A gateway from before there was a fast lane has the full one only, and no setting for it.
    if (!hasSetting({ fastLane })) {
      if (fastLane) return { leftOut: 'this gateway has no setting gateway.fastLane' };
    }
    if (options.certificate && !hasSetting(tlsSettings(options))) {
      return { leftOut: 'this gateway has no setting gateway.tls' };
    }
    await using undo = new AsyncDisposableStack();
    const agents = await Promise.all(
      servers.map(({ name }) => FakeAgent.start({ backend: name, application: 'app' })),
    );
    for (const agent of agents) undo.defer(() => agent.stop());
    const backends = servers.map(({ name, port }, index) => [
      name,
      { url: `http://127.0.0.1:${port}`, agent: agents[index]?.url },
    ]);
    const config = {
      secret: 'a secret of the benchmark, long enough to be one',
      store: { url: `sqlite:${join(directory, 'sessions.sqlite')}` },
      gateway: {
        listen: `127.0.0.1:${port}`,
        admin: { listen: `127.0.0.1:${adminPort}` },
        limits: { connections: options.connections },
        accessLog,
        ...(hasSetting({ fastLane }) && { fastLane }),
        ...tlsSettings(options),
      },
      pools: {
        app: {
          session: { cookie: 'sid' },
          // Answers are passed on as they come, as the others do it; what holding them costs has a benchmark of its own.
          hold: 'never',
          health: { rise: 1 },
          backends: Object.fromEntries(backends),
        },
      },
    };
    const configFile = join(directory, 'stickshift.yaml');
    await writeFile(configFile, stringify(config));
    const logTo = openSync(join(directory, 'stickshift.log'), 'a');
    const gateway = undo.use(await startGateway({ directory, configFile, port, adminPort, logTo }));
    closeSync(logTo);
    const started = undo.move();
    return {
      ...gateway,
      name: fastLane ? 'stickshift-fast' : 'stickshift-full',
      version: packageVersion('package.json'),
      [Symbol.asyncDispose]: () => started.disposeAsync(),
    };
  };

function tlsSettings({ certificate }: ProxyOptions): object {
  return certificate ? { tls: { certificates: [{ cert: certificate.cert, key: certificate.key }] } } : {};
}

function hasSetting(settings: object): boolean {
  const config: ConfigInput = {
    secret: 'a secret of the benchmark, long enough to be one',
    gateway: settings,
  };
  const { error } = configSchema.safeParse(config);
  return !error?.issues.some(({ code }) => code === 'unrecognized_keys');
}

function packageVersion(file: string): string {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8')).version;
}
