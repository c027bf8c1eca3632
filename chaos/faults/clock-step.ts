import { agentOf, BACKENDS, GATEWAYS, poolOf } from '../installation/layout.ts';
import { type FaultKind, NO_EFFECTS } from './fault.ts';

const FIVE_MINUTES = 300_000;

/** Everything that runs in Node, whose clock the preloaded `installation/clock.ts` can step. */
const TARGETS = [
  ...GATEWAYS,
  ...BACKENDS.map(agentOf),
  ...BACKENDS.filter((backend) => poolOf(backend) === 'express'),
];

/** The wall clock of one process is set five minutes on or back, and later set right. */
export const clockStep: FaultKind = {
  name: 'clock-step',
  weight: 2,
  choose: (random) => ({
    target: random.pick(TARGETS) ?? '',
    durationMs: Math.round(random.logUniform(500, 10_000)),
    variant: random.chance(0.5) ? '+5 min' : '-5 min',
  }),
  // It stops nobody; whoever dies with it starts with the right time.
  effects: ({ target }) => ({ ...NO_EFFECTS, touches: [`clock of ${target}`] }),
  async begin(installation, { target, variant }) {
    installation.stepClock(target, variant === '+5 min' ? FIVE_MINUTES : -FIVE_MINUTES);
    return async () => installation.stepClock(target, 0);
  },
};
