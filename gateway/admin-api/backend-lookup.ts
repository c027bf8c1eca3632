import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';

/** @throws StickshiftError `NOT_FOUND` */
export function findPools(pools: readonly Pool[], name: string | undefined): readonly Pool[] {
  if (name === undefined) return pools;
  const pool = pools.find((candidate) => candidate.name === name);
  if (!pool) throw new StickshiftError('NOT_FOUND', `there is no pool ${name}`);
  return [pool];
}

/**
 * @param poolName - needed where two pools have a backend of that name
 * @throws StickshiftError `NOT_FOUND`; `BAD_REQUEST` when the name alone does not say which
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
