import { fileURLToPath } from 'node:url';
import { type Habits, STEADY } from '../clients/client.ts';
import type { FaultPlan, Policies } from '../faults/fault.ts';
import type { Round } from '../faults/schedule.ts';
import { agentOf, BACKENDS, poolOf } from '../installation/layout.ts';

/*
 * A checker that cannot fail proves nothing. Each control takes one safeguard away and then does what that safeguard is
 * there for: the run must end with losses.
 */

export const CONTROLS = ['none', 'async', 'no-hold', 'no-fencing'] as const;
export type ControlName = (typeof CONTROLS)[number];

/** Faults that a safeguard is there for. With all safeguards in place, a drill loses nothing. */
export interface Drill {
  /** Repeated until the time is over. */
  readonly rounds: readonly Round[];
  /** How long clients wait for an answer, milliseconds. Default: 10 seconds. */
  readonly patienceMs?: number;
  /** Default: lively. */
  readonly habits?: Habits;
}

export interface Control {
  readonly policies: (policies: Policies) => Policies;
  readonly agentPreload?: string;
}

const EMPTIED = 'directory emptied';

const kill = (target: string, startMs: number): FaultPlan => ({
  kind: 'kill-node',
  target,
  startMs,
  durationMs: 1_500,
  ...(target.startsWith('php') && { variant: EMPTIED }),
});

const round = (faults: readonly FaultPlan[]): Round => ({ faults, storeForgets: false });

/** Nodes die while their commits are on a slow way to the store: what was acknowledged before its commit is lost. */
const deathsBehindASlowLink = ([0, 1] as const).map((nth) =>
  round(
    nthOfEachPool(nth).flatMap((backend) => [
      {
        kind: 'link-delay',
        target: `${agentOf(backend)}→redis`,
        startMs: 0,
        durationMs: 2_500,
        // Well below store.commandTimeout: the store is slow, not away.
        variant: 'forward 250 ms',
      },
      kill(backend, 2_000),
    ]),
  ),
);

/**
 * An owner freezes with requests in its hands, and others take its sessions over. These freeze as well, so that nobody
 * mends anything while the first one wakes and commits what it has; then they die, and what is in the store is what counts.
 */
const sleepers = ([0, 1] as const).map((nth) =>
  round([
    ...nthOfEachPool(nth).map((target) => ({ kind: 'pause-node', target, startMs: 0, durationMs: 7_000 })),
    ...nthOfEachPool(1 - nth).flatMap((target) => [
      { kind: 'pause-node', target, startMs: 6_700, durationMs: 2_000 },
      kill(target, 8_500),
    ]),
  ]),
);

/** By the control whose safeguard they test. */
export const DRILLS: Readonly<Record<Exclude<ControlName, 'none'>, Drill>> = {
  async: { rounds: deathsBehindASlowLink },
  'no-hold': { rounds: deathsBehindASlowLink },
  // Who waits until the sleeper wakes has been nowhere else meanwhile; and a session must last until then.
  'no-fencing': { rounds: sleepers, patienceMs: 1_500, habits: STEADY },
};

export const CONTROL_SETTINGS: Readonly<Record<ControlName, Control>> = {
  none: { policies: (policies) => policies },
  async: { policies: (policies) => forAll(policies, { durability: 'async' }) },
  'no-hold': { policies: (policies) => forAll(policies, { hold: 'never' }) },
  'no-fencing': {
    policies: (policies) => policies,
    agentPreload: fileURLToPath(new URL('./without-fencing.ts', import.meta.url)),
  },
};

function forAll(policies: Policies, change: Partial<Policies['express']>): Policies {
  return { express: { ...policies.express, ...change }, php: { ...policies.php, ...change } };
}

function nthOfEachPool(nth: number) {
  return (['express', 'php'] as const).flatMap(
    (pool) => BACKENDS.filter((backend) => poolOf(backend) === pool)[nth] ?? [],
  );
}
