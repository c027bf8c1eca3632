/** The names of everything that a chaos run starts; faults choose their targets among them. */

export const POOLS = ['express', 'php'] as const;
export type Pool = (typeof POOLS)[number];

export const GATEWAYS = ['gateway-1', 'gateway-2'] as const;
export type GatewayName = (typeof GATEWAYS)[number];

export const BACKENDS = ['express-1', 'express-2', 'php-1', 'php-2'] as const;
export type BackendName = (typeof BACKENDS)[number];

export const REDIS_SERVERS = ['redis-1', 'redis-2'] as const;
export type RedisName = (typeof REDIS_SERVERS)[number];

export function poolOf(backend: BackendName): Pool {
  return backend.startsWith('php') ? 'php' : 'express';
}

/** Name of the agent's process; the app's is the backend's own. */
export function agentOf(backend: BackendName): `${BackendName}-agent` {
  return `${backend}-agent`;
}

/** Name of the host by which clients ask for a pool. */
export function hostOf(pool: Pool): string {
  return `${pool}.test`;
}

/** Where two processes meet, and so where the network between them can break. */
export type LinkName =
  | `${GatewayName}→${BackendName}`
  | `${GatewayName}→${BackendName}-agent`
  | `${GatewayName}→redis`
  | `${BackendName}-agent→redis`
  | 'replica→primary';

export const LINKS: readonly LinkName[] = [
  ...GATEWAYS.flatMap((gateway) => [
    ...BACKENDS.flatMap((backend) => [`${gateway}→${backend}`, `${gateway}→${agentOf(backend)}`] as const),
    `${gateway}→redis` as const,
  ]),
  ...BACKENDS.map((backend) => `${agentOf(backend)}→redis` as const),
  'replica→primary',
];
