import { startGatewayProcess } from '../processes/gateway.ts';
import { allCommitted, startInstallation } from '../processes/installation.ts';
import type { BenchRedis } from '../processes/redis.ts';
import { startShop } from '../processes/shop.ts';
import { startBareProxy, type Target } from '../processes/target.ts';

/** One way to run the shop: which sessions it has, and what stands before it. */
export interface Variant extends AsyncDisposable {
  /** Where clients connect. */
  readonly port: number;
  /** Whose CPU is counted. */
  readonly processes: readonly Target[];
  /** Resolves when the store has every change that has been made so far. */
  settled(): Promise<void>;
}

export const VARIANTS = {
  /** Express' own MemoryStore behind a gateway that holds nothing: what the gateway alone costs. */
  'no-agent': async () => {
    await using undo = new AsyncDisposableStack();
    const app = undo.use(await startShop({ in: 'memory' }));
    const gateway = undo.use(
      await startGatewayProcess(app.port, {
        session: { cookie: 'connect.sid', format: 'express' },
        health: { rise: 1 },
        hold: 'never',
      }),
    );
    return variant(gateway.port, [{ ...gateway, name: 'gateway' }, app], undo);
  },
  async: (redis) => withAgent(redis, 'async'),
  ack: (redis) => withAgent(redis, 'ack'),
  /** `ack`, and one replica of Redis has it too. */
  replica: (redis) => withAgent(redis, 'replica'),
  'connect-redis': async (redis) => {
    await using undo = new AsyncDisposableStack();
    const app = undo.use(await startShop({ in: 'redis', url: redis.url }));
    return variant(app.port, [app], undo);
  },
  /** As somebody has it who wants more than one server: behind a proxy that keeps its connections. */
  'connect-redis-proxied': async (redis) => {
    await using undo = new AsyncDisposableStack();
    const app = undo.use(await startShop({ in: 'redis', url: redis.url }));
    const proxy = undo.use(await startBareProxy(app.port));
    return variant(proxy.port, [{ ...proxy, name: 'proxy' }, app], undo);
  },
} as const satisfies Readonly<Record<string, (redis: BenchRedis) => Promise<Variant>>>;

export type VariantName = keyof typeof VARIANTS;
export const VARIANT_NAMES = Object.keys(VARIANTS) as readonly VariantName[];

async function withAgent(redis: BenchRedis, durability: 'async' | 'ack' | 'replica'): Promise<Variant> {
  await using undo = new AsyncDisposableStack();
  const installation = undo.use(
    await startInstallation({
      storeUrl: redis.url,
      application: `shop-${durability}`,
      pool: { durability },
    }),
  );
  const processes = [
    ...installation.gateways,
    ...installation.servers.flatMap(({ agent, app }) => [agent, app]),
  ];
  return variant(installation.gateways[0]?.port ?? 0, processes, undo, async () => {
    for (const { agent } of installation.servers) await allCommitted(agent, 0);
  });
}

function variant(
  port: number,
  processes: readonly Target[],
  started: AsyncDisposableStack,
  settled = (): Promise<void> => Promise.resolve(),
): Variant {
  const moved = started.move();
  return { port, processes, settled, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}
