import { eventually } from '../../test/services/eventually.ts';
import { median, quantile } from '../measure/statistics.ts';
import { backendStatus, setBackendState } from '../processes/gateway-admin.ts';
import { startInstallation } from '../processes/installation.ts';
import { startRedis } from '../processes/redis.ts';
import { SessionClient } from '../processes/session-client.ts';
import { measureRoundTrips, type RoundTrips } from './round-trips.ts';
import type { Sizes } from './sizes.ts';
import { countCommands, type StoreCommands, total } from './store-commands.ts';

export interface Takeover {
  /** How much longer a round trip to Redis was made. */
  readonly delayMs: number;
  readonly roundTrips: RoundTrips;
  /** How many were timed, and as many were counted. */
  readonly sessions: number;
  /** Store commands about sessions, per takeover. */
  readonly commands: number;
  readonly commandNames: StoreCommands;
  /** A read of a session that is where it belongs, milliseconds. */
  readonly boundP50Millis: number;
  /** The first read after the session's server was lost, milliseconds. */
  readonly firstP50Millis: number;
  readonly firstP99Millis: number;
}

/**
 * Sessions on a server that is killed together with its agent, each asked for once, one after the other. The gateway has
 * noticed the loss by then: how soon it does is a matter of its health checks, and no cost of a takeover.
 */
export async function measureTakeover(delayMs: number, { takeovers }: Sizes): Promise<Takeover> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.use(await startRedis(delayMs));
  const roundTrips = await measureRoundTrips(redis.url);
  const installation = cleanup.use(await startInstallation({ storeUrl: redis.url, servers: 2 }));
  const [gateway] = installation.gateways;
  const [lost] = installation.servers;
  if (!gateway || !lost) throw new Error('an installation without gateway or server');
  const sees = (id: string, what: 'up' | 'down' | 'accepting') =>
    eventually(`the gateway sees ${id} ${what}`, async () => {
      const { up, accepting } = await backendStatus(gateway, id);
      return what === 'accepting' ? accepting : up === (what === 'up');
    });

  await sees('app-1', 'up');
  // All begin on the server that will be lost.
  await setBackendState(gateway, 'app-2', 'maintenance');
  const clients = Array.from({ length: 2 * takeovers }, () => new SessionClient(gateway.port));
  cleanup.defer(() => {
    for (const client of clients) client.disconnect();
  });
  for (const client of clients) await read(client, 'write');
  await setBackendState(gateway, 'app-2', 'ready');
  await sees('app-2', 'accepting');
  for (const client of clients) await read(client);
  const bound: number[] = [];
  for (const client of clients) bound.push(await read(client));

  await Promise.all([lost.app.kill(), lost.agent.kill()]);
  await sees('app-1', 'down');
  // Watching Redis makes it slower: half of them are timed, the others counted.
  const first: number[] = [];
  for (const client of clients.slice(0, takeovers)) first.push(await read(client));
  const commandNames = await countCommands(redis.client, async () => {
    for (const client of clients.slice(takeovers)) await read(client);
  });
  const sorted = first.toSorted((a, b) => a - b);
  return {
    delayMs,
    roundTrips,
    sessions: takeovers,
    commands: total(commandNames.sessions) / takeovers,
    commandNames,
    boundP50Millis: median(bound),
    firstP50Millis: quantile(sorted, 0.5),
    firstP99Millis: quantile(sorted, 0.99),
  };
}

/** How long it took, milliseconds. */
async function read(client: SessionClient, kind: 'read' | 'write' = 'read'): Promise<number> {
  const sent = performance.now();
  const { status } = await client.send(kind);
  if (status !== 200) throw new Error(`a ${kind} was answered with ${status}`);
  return performance.now() - sent;
}
