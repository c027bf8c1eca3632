import { allCommitted, startInstallation } from '../processes/installation.ts';
import { startRedis } from '../processes/redis.ts';
import { SessionLoad } from '../processes/session-load.ts';
import type { Sizes } from './sizes.ts';

export interface Memory {
  readonly sessions: number;
  /** What one more session adds to the agent's heap after a garbage collection, bytes. */
  readonly heapBytesPerSession: number;
  /** The same of what the operating system gave the process, bytes. */
  readonly residentBytesPerSession: number;
}

/** What an agent keeps in memory for each session that it owns. The session's bytes are in the app and in the store. */
export async function measureMemory({ owned: sessions, connections }: Sizes): Promise<Memory> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.use(await startRedis(0));
  const installation = cleanup.use(
    await startInstallation({ storeUrl: redis.url, gateways: 0, memoryProbe: true }),
  );
  const load = cleanup.use(await SessionLoad.start());
  const [server] = installation.servers;
  if (!server) throw new Error('an installation without a server');
  const { app, agent } = server;
  // Code, compilers and buffers grow with the first sessions, and then no more.
  const first = Math.ceil(sessions / 10);
  await load.run({ do: 'fill', port: app.port, connections, sessions: first });
  await allCommitted(agent, first);
  const before = await agent.memory();
  await load.run({ do: 'fill', port: app.port, connections, sessions });
  await allCommitted(agent, first + sessions);
  const after = await agent.memory();
  return {
    sessions,
    heapBytesPerSession: (after.heapUsed - before.heapUsed) / sessions,
    residentBytesPerSession: (after.rss - before.rss) / sessions,
  };
}
