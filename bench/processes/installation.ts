import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { findPorts } from '../../demo/ports.ts';
import type { AgentStatus } from '../../protocol/agent-api.ts';
import { AGENT_API } from '../../protocol/agent-api.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { eventually } from '../../test/services/eventually.ts';
import { type GatewayProcess, type PoolInput, startGateway } from './gateway.ts';
import { memoryOf } from './memory-probe.ts';
import { startService } from './service.ts';
import { startShop } from './shop.ts';
import { asTarget, type Target } from './target.ts';

/** Of every gateway and agent here: processes of different secrets do not share a store. */
export const BENCH_SECRET = 'a secret of the benchmark, long enough to be one';

export interface AgentProcess extends Target {
  status(): Promise<AgentStatus>;
  /** After a garbage collection. Only with `memoryProbe`. */
  memory(): Promise<NodeJS.MemoryUsage>;
}

/** A shop and the agent beside it. */
export interface AppServer {
  readonly id: string;
  readonly app: Target;
  readonly agent: AgentProcess;
}

export interface Installation extends AsyncDisposable {
  readonly gateways: readonly GatewayProcess[];
  readonly servers: readonly AppServer[];
}

export interface InstallationOptions {
  readonly storeUrl: string;
  /** Installations that share a store need different ones, or they are taken for one. Default: `shop`. */
  readonly application?: string;
  readonly pool?: Partial<PoolInput>;
  /** Default: 1. */
  readonly servers?: number;
  /** Default: 1. */
  readonly gateways?: number;
  readonly memoryProbe?: boolean;
}

/** Gateways, shops and agents, each a process of its own, started as an operator does. */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-bench-'));
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const plans = await Promise.all(
    Array.from({ length: options.servers ?? 1 }, async (_, index) => {
      const id = `app-${index + 1}`;
      const socket = join(directory, `${id}.sock`);
      const app = undo.use(await startShop({ in: 'stickshift', agent: socket }));
      return { id, socket, app };
    }),
  );
  const gatewayCount = options.gateways ?? 1;
  const ports = await findPorts(plans.length + 2 * gatewayCount);
  const agentPorts = ports.slice(0, plans.length);
  const config = {
    secret: BENCH_SECRET,
    store: { url: options.storeUrl },
    pools: {
      shop: {
        application: options.application ?? 'shop',
        session: { cookie: 'connect.sid', format: 'express' },
        health: { rise: 1 },
        backends: Object.fromEntries(
          plans.map(({ id, app }, index) => [
            id,
            { url: `http://127.0.0.1:${app.port}`, agent: `http://127.0.0.1:${agentPorts[index]}` },
          ]),
        ),
        ...options.pool,
      },
    },
    agents: Object.fromEntries(
      plans.map(({ id, socket }, index) => [
        id,
        {
          pool: 'shop',
          listen: `127.0.0.1:${agentPorts[index]}`,
          source: { type: 'express', listen: socket },
        },
      ]),
    ),
  } satisfies ConfigInput;

  const agentConfig = join(directory, 'agents.yaml');
  await writeFile(agentConfig, stringify(config));
  const servers = await Promise.all(
    plans.map(async ({ id, app }, index) => {
      const url = `http://127.0.0.1:${agentPorts[index]}`;
      const child = await startService({
        args: ['agent', id, '--config', agentConfig],
        directory,
        readyUrl: url + AGENT_API.ready,
        memoryProbe: options.memoryProbe ?? false,
      });
      const agent: AgentProcess = {
        ...asTarget('agent', child, agentPorts[index] ?? 0),
        status: () => agentStatus(url),
        memory: () => memoryOf(child),
      };
      return { id, app, agent: undo.use(agent) };
    }),
  );
  const gateways: GatewayProcess[] = [];
  for (let index = 0; index < gatewayCount; index++) {
    const [port = 0, adminPort = 0] = ports.slice(plans.length + 2 * index);
    const configFile = join(directory, `gateway-${index + 1}.yaml`);
    const gateway = { listen: `127.0.0.1:${port}`, admin: { listen: `127.0.0.1:${adminPort}` } };
    await writeFile(configFile, stringify({ ...config, gateway }));
    gateways.push(undo.use(await startGateway({ directory, configFile, port, adminPort })));
  }
  const started = undo.move();
  return { gateways, servers, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Resolves when everything that the app has changed is in the store. */
export async function allCommitted(agent: AgentProcess, sessions: number): Promise<void> {
  await eventually(`${sessions} sessions are committed`, async () => {
    const status = await agent.status();
    return status.dirty === 0 && status.sessions >= sessions;
  });
}

async function agentStatus(url: string): Promise<AgentStatus> {
  const authorization = `Bearer ${deriveSecrets(BENCH_SECRET).agentToken}`;
  const response = await fetch(url + AGENT_API.status, { headers: { authorization } });
  return (await response.json()) as AgentStatus;
}
