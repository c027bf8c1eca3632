import type { PoolConfig } from '../../config/schema.ts';
import type { CommitDurability } from '../../protocol/agent-api.ts';
import { isUnder } from '../routing/path-prefix.ts';

/** What an answer waits for. */
export interface HoldDecision {
  /** What the agent is asked for. */
  readonly durability: CommitDurability;
  /** The request's method is one that may change things, so the session may have changed although nothing shows it. */
  readonly unsafe: boolean;
}

/**
 * A pool's rules, compiled: what the answer to a request waits for, `undefined` when it goes out at once.
 *
 * @param setsSession - the answer sets, changes or deletes the session ID
 */
export type HoldRules = (
  request: {
    readonly method: string;
    /** Origin form. */
    readonly target: string;
  },
  setsSession: boolean,
) => HoldDecision | undefined;

/** One of the pool's `routes`, or the pool itself for everything else. */
interface Rule {
  readonly prefixes: readonly string[];
  readonly methods: ReadonlySet<string> | undefined;
  readonly hold: PoolConfig['hold'];
  readonly safe: HoldDecision;
  readonly unsafe: HoldDecision;
}

// RFC 9110, 9.2.1
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export function holdRules(pool: PoolConfig): HoldRules {
  const routes = pool.routes.map((route) => rule(pool, route, route.paths, route.methods));
  const rest = rule(pool, {}, ['/'], undefined);
  return ({ method, target }, setsSession) => {
    const { hold, safe, unsafe } = routes.find((route) => fits(route, method, target)) ?? rest;
    const isSafe = SAFE.has(method);
    if (hold === 'never' || (hold === 'writes' && isSafe && !setsSession)) return undefined;
    return isSafe ? safe : unsafe;
  };
}

type RouteSettings = Partial<Pick<PoolConfig['routes'][number], 'durability' | 'hold' | 'onStoreDown'>>;

function rule(
  pool: PoolConfig,
  route: RouteSettings,
  prefixes: readonly string[],
  methods: readonly string[] | undefined,
): Rule {
  const durability = commitDurability(
    route.durability ?? pool.durability,
    route.onStoreDown ?? pool.onStoreDown,
    pool.replicas,
  );
  return {
    prefixes,
    methods: methods && new Set(methods),
    hold: route.hold ?? pool.hold,
    safe: { durability, unsafe: false },
    unsafe: { durability, unsafe: true },
  };
}

/** A journal is no replica: who asks for replicas is refused while there are none. */
function commitDurability(
  mode: CommitDurability['mode'],
  onStoreDown: CommitDurability['onStoreDown'],
  replicas: number,
): CommitDurability {
  return mode === 'replica' ? { mode, replicas, onStoreDown: 'refuse' } : { mode, onStoreDown };
}

function fits({ prefixes, methods }: Rule, method: string, target: string): boolean {
  return (methods?.has(method) ?? true) && prefixes.some((prefix) => isUnder(prefix, target));
}
