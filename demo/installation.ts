import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../config/schema.ts';
import { findPorts } from './ports.ts';
import type { DemoControl } from './shop/control-routes.ts';
import type { ProcessPlan } from './supervisor.ts';

/** One app server and the agent beside it. */
export interface BackendPlan {
  readonly id: string;
  readonly app: ProcessPlan;
  readonly agent: ProcessPlan;
}

/** What the demo runs, and where. */
export interface Installation {
  readonly gateway: ProcessPlan;
  readonly backends: ReadonlyMap<string, BackendPlan>;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly storeUrl: string;
  readonly configFile: string;
}

const STICKSHIFT = fileURLToPath(new URL('../bin/stickshift.js', import.meta.url));
const SHOP = fileURLToPath(new URL('./shop/main.ts', import.meta.url));

/** Plans every process and writes the configuration file they share, with a secret of its own, into `stateDirectory`. */
export async function planInstallation(options: {
  stateDirectory: string;
  /** 0 stands for any free port, here and below. */
  port: number;
  adminPort: number;
  storeUrl: string;
  backends: number;
  control: DemoControl;
}): Promise<Installation> {
  const { stateDirectory, storeUrl } = options;
  const configFile = join(stateDirectory, 'stickshift.yaml');
  const sessionSecret = randomBytes(16).toString('hex');
  const ids = Array.from({ length: options.backends }, (_, index) => `app-${index + 1}`);
  const [anyPort, anyAdminPort, ...ports] = await findPorts(2 + 2 * ids.length);
  const port = options.port || anyPort;
  const adminPort = options.adminPort || anyAdminPort;

  const servers = ids.map((id, index) => {
    const [appPort, agentPort] = ports.slice(2 * index, 2 * index + 2);
    return {
      id,
      app: `127.0.0.1:${appPort}`,
      agent: `127.0.0.1:${agentPort}`,
      socket: join(stateDirectory, `${id}.sock`),
    };
  });

  const config: ConfigInput = {
    secret: secretFor(storeUrl, stateDirectory),
    store: { url: storeUrl },
    gateway: {
      listen: `127.0.0.1:${port}`,
      admin: { listen: `127.0.0.1:${adminPort}` },
      // Short, for people who watch: an open event stream would otherwise hold up a drain or the end of the demo.
      drain: { deadline: '3s' },
      timeouts: { shutdown: '2s' },
    },
    pools: {
      shop: {
        session: { cookie: 'connect.sid', format: 'express' },
        health: { interval: '250ms', timeout: '500ms' },
        backends: Object.fromEntries(
          servers.map(({ id, app, agent }) => [id, { url: `http://${app}`, agent: `http://${agent}` }]),
        ),
      },
    },
    agents: Object.fromEntries(
      servers.map(({ id, agent, socket }) => [
        id,
        {
          pool: 'shop',
          listen: agent,
          source: { type: 'express', listen: socket },
          journal: { directory: join(stateDirectory, 'journal', id) },
        },
      ]),
    ),
  };
  // It holds the secret.
  await writeFile(configFile, stringify(config), { mode: 0o600 });

  const adminUrl = `http://127.0.0.1:${adminPort}`;
  return {
    gatewayUrl: `http://127.0.0.1:${port}`,
    adminUrl,
    storeUrl,
    configFile,
    gateway: {
      name: 'gateway',
      args: [STICKSHIFT, 'gateway', '--config', configFile],
      env: {},
      readyUrl: `${adminUrl}/healthz`,
    },
    backends: new Map(
      servers.map(({ id, app, agent, socket }) => [
        id,
        {
          id,
          app: {
            name: id,
            args: [SHOP],
            env: {
              SHOP_NAME: id,
              SHOP_LISTEN: app,
              SHOP_AGENT: socket,
              SHOP_SESSION_SECRET: sessionSecret,
              SHOP_CONTROL_URL: options.control.url,
              SHOP_CONTROL_TOKEN: options.control.token,
            },
            readyUrl: `http://${app}/healthz`,
          },
          agent: {
            name: `${id} agent`,
            args: [STICKSHIFT, 'agent', id, '--config', configFile],
            env: {},
            readyUrl: `http://${agent}/healthz`,
          },
        },
      ]),
    ),
  };
}

/**
 * A store of its own gets a random secret. One that it was given may be the one of the last run: it belongs to the
 * installation that has the secret of then.
 */
function secretFor(storeUrl: string, stateDirectory: string): string {
  if (storeUrl.includes(stateDirectory)) return randomBytes(32).toString('hex');
  return createHash('sha256').update(`the demo on ${storeUrl}`).digest('hex');
}
