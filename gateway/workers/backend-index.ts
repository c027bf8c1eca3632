import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';
import type { Pool } from '../backends/pool.ts';
import type { BackendName } from './messages.ts';

/** Finds the backends that messages name. Both sides have made theirs of the same configuration. */
export class BackendIndex {
  readonly all: readonly Backend[];
  readonly #pools: ReadonlyMap<string, Pool>;

  constructor(pools: readonly Pool[]) {
    this.all = pools.flatMap(({ backends }) => [...backends.values()]);
    this.#pools = new Map(pools.map((pool) => [pool.name, pool]));
  }

  find({ pool, id }: BackendName): Backend {
    const backend = this.#pools.get(pool)?.backends.get(id);
    if (!backend) throw new StickshiftError('INTERNAL', `a message names a backend ${pool}/${id}`);
    return backend;
  }
}
