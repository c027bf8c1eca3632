import { eventually } from '../../test/services/eventually.ts';
import { backendStatus, setBackendState } from '../processes/gateway-admin.ts';
import { allCommitted, startInstallation } from '../processes/installation.ts';
import { startRedis } from '../processes/redis.ts';
import { SessionLoad } from '../processes/session-load.ts';
import type { Sizes } from './sizes.ts';

export interface Drain {
  /** Gateways with a lease at the agent: each has to agree before a session is let go. */
  readonly gateways: number;
  readonly sessions: number;
  /** From the order until no gateway drains any more, milliseconds. */
  readonly tookMs: number;
}

/** Begins sessions on a server and drains it: every session is captured, committed, released and forgotten by the app. */
export async function measureDrain(
  gateways: number,
  { drained: sessions, connections }: Sizes,
): Promise<Drain> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.use(await startRedis(0));
  // The other one is there to take over: with nobody else, a drain releases nothing.
  const installation = cleanup.use(await startInstallation({ storeUrl: redis.url, gateways, servers: 2 }));
  const load = cleanup.use(await SessionLoad.start());
  const [gateway] = installation.gateways;
  const [server] = installation.servers;
  if (!gateway || !server) throw new Error('an installation without gateway or server');
  await load.run({ do: 'fill', port: server.app.port, connections, sessions });
  await allCommitted(server.agent, sessions);
  for (const each of installation.gateways) {
    for (const { id } of installation.servers) {
      await eventually('the gateway sees the server up', async () => (await backendStatus(each, id)).up);
    }
  }

  await setBackendState(gateway, server.id, 'drain');
  // The other gateways learn of it through the store, and take part.
  const drains = await Promise.all(
    installation.gateways.map((each) =>
      eventually('the drain is over', async () => {
        const { drain } = await backendStatus(each, server.id);
        return drain?.endedAt !== undefined && { ...drain, endedAt: drain.endedAt };
      }),
    ),
  );
  const released = drains.reduce((sum, drain) => sum + drain.released, 0);
  const left = (await server.agent.status()).sessions;
  if (left > 0 || released < sessions) {
    throw new Error(`${released} of ${sessions} sessions were released, ${left} are left`);
  }
  const startedAt = Math.min(...drains.map((drain) => drain.startedAt));
  const endedAt = Math.max(...drains.map((drain) => drain.endedAt));
  return { gateways, sessions, tookMs: endedAt - startedAt };
}
