import * as z from 'zod';
import { agentSchema } from './sections/agent.ts';
import { gatewaySchema } from './sections/gateway.ts';
import { poolSchema } from './sections/pool.ts';
import { storeSchema } from './sections/store.ts';
import { name } from './sections/values.ts';
import { settingFacts } from './setting-facts.ts';

/** The whole of `stickshift.yaml`. Durations come out as milliseconds, sizes as bytes. */
export const configSchema = z
  .strictObject({
    secret: z
      .string()
      .min(32, 'expected at least 32 characters; `openssl rand -hex 32` makes some')
      .register(settingFacts, { secret: true })
      .describe('The installation’s secret: session keys, agent token and default keys are derived from it.'),
    store: storeSchema,
    gateway: gatewaySchema,
    pools: z.record(name, poolSchema).default({}),
    agents: z.record(name, agentSchema).default({}),
  })
  .describe('Stickshift configuration');

/** What may stand in the file. */
export type ConfigInput = z.input<typeof configSchema>;
/** With every default filled in. */
export type Config = z.output<typeof configSchema>;
export type GatewayConfig = Config['gateway'];
export type TlsConfig = NonNullable<GatewayConfig['tls']>;
export type StoreConfig = Config['store'];
export type PoolConfig = Config['pools'][string];
export type AgentConfig = Config['agents'][string];
export type SessionIdRule = PoolConfig['session'];
