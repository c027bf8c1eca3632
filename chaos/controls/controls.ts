import { fileURLToPath } from 'node:url';
import type { FaultPlan, Policies } from '../faults/fault.ts';
import type { Round } from '../faults/schedule.ts';
import { agentOf, BACKENDS, poolOf } from '../installation/layout.ts';

/*
 * A checker that cannot fail proves nothing. Each control takes one safeguard away and then does what that safeguard is
 * there for: the run must end with losses.
 */

export const CONTROLS = ['none', 'async', 'no-hold', 'no-fencing'] as const;
export type ControlName = (typeof CONTROLS)[number];

export interface Control {
  readonly policies: (policies: Policies) => Policies;
  readonly agentPreload?: string;
  /** Repeated until the time is over. */
  readonly rounds: readonly Round[];
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
const DEATHS_BEHIND_A_SLOW_LINK = ([0, 1] as const).map((nth) =>
  round(
    nthOfEachPool(nth).flatMap((backend) => [
      {
        kind: 'link-delay',
        target: `${agentOf(backend)}→redis`,
        startMs: 0,
        durationMs: 2_500,
        variant: 'forward 400 ms',
      },
      kill(backend, 2_000),
    ]),
  ),
);

/**
 * An owner freezes with requests in its hands, others take its sessions over, it wakes and commits what it has. Then the new
 * owners die, so that what is in the store is what counts.
 */
const SLEEPERS = ([0, 1] as const).map((nth) =>
  round([
    ...nthOfEachPool(nth).map((target) => ({ kind: 'pause-node', target, startMs: 0, durationMs: 7_000 })),
    ...nthOfEachPool(1 - nth).map((target) => kill(target, 7_400)),
  ]),
);

export const CONTROL_SETTINGS: Readonly<Record<Exclude<ControlName, 'none'>, Control>> = {
  async: {
    policies: (policies) => forAll(policies, { durability: 'async' }),
    rounds: DEATHS_BEHIND_A_SLOW_LINK,
  },
  'no-hold': {
    policies: (policies) => forAll(policies, { hold: 'never' }),
    rounds: DEATHS_BEHIND_A_SLOW_LINK,
  },
  'no-fencing': {
    policies: (policies) => policies,
    agentPreload: fileURLToPath(new URL('./without-fencing.ts', import.meta.url)),
    rounds: SLEEPERS,
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
