import type { Random } from '../random.ts';
import type { FaultKind, FaultPlan, Policies } from './fault.ts';
import { mayOverlap } from './rules.ts';

/** Faults that overlap. Between two rounds everything heals, and every client has been served. */
export interface Round {
  readonly faults: readonly FaultPlan[];
  /** Before it, what was left alone is read, so that nothing rests in the store alone. */
  readonly storeForgets: boolean;
}

/** Faults of a round begin within so many milliseconds. */
const SPREAD_MS = 4_000;
const MOST_AT_ONCE = 3;
const TRIES = 20;

/** Rounds without end; the same random numbers give the same rounds, however long each of them takes. */
export function* schedule(random: Random, kinds: readonly FaultKind[], policies: Policies): Generator<Round> {
  for (;;) yield nextRound(random, kinds, policies);
}

function nextRound(random: Random, kinds: readonly FaultKind[], policies: Policies): Round {
  const chosen: { kind: FaultKind; plan: FaultPlan }[] = [];
  const wanted = random.whole(1, MOST_AT_ONCE);
  for (let tries = 0; tries < TRIES && chosen.length < wanted; tries++) {
    const kind = random.weighted(kinds.map((one) => [one, one.weight] as const));
    if (!kind) break;
    const startMs = chosen.length === 0 ? 0 : random.whole(0, SPREAD_MS);
    const candidate = { kind, plan: { kind: kind.name, startMs, ...kind.choose(random) } };
    if (kind.alone) {
      if (chosen.length > 0) continue;
      chosen.push(candidate);
      break;
    }
    const effects = [...chosen, candidate].map((one) => one.kind.effects(one.plan));
    if (mayOverlap(effects, policies)) chosen.push(candidate);
  }
  return {
    faults: chosen.map(({ plan }) => plan),
    storeForgets: chosen.some(({ kind, plan }) => kind.effects(plan).storeForgets),
  };
}
