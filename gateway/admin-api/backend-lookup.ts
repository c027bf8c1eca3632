import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';

/**
 * @param name - `undefined`: all of them
 * @throws StickshiftError `BAD_REQUEST`; a 404 would say that what was asked for within the pool is absent
 */
export function findPools(pools: readonly Pool[], name: string | undefined): readonly Pool[] {
  if (name === undefined) return pools;
  const pool = pools.find((candidate) => candidate.name === name);
  if (pool) return [pool];
  const names = pools.map((candidate) => candidate.name).join(', ');
  throw new StickshiftError('BAD_REQUEST', `there is no pool ${name}; there are: ${names}`);
}

/**
 * @param poolName - needed where two pools have a backend of that name
 * @throws StickshiftError `NOT_FOUND`; `BAD_REQUEST` when the name alone does not say which, or there is no such pool
 */
export function findBackend(pools: readonly Pool[], id: string, poolName: string | undefined): Backend {
  const found = findPools(pools, poolName).flatMap((pool) => pool.backends.get(id) ?? []);
  const [backend, another] = found;
  if (!backend) throw new StickshiftError('NOT_FOUND', `there is no backend ${id}`);
  if (another) {
    const names = found.map(({ pool }) => pool).join(', ');
    throw new StickshiftError('BAD_REQUEST', `several pools have a backend ${id}; add pool: one of ${names}`);
  }
  return backend;
}
