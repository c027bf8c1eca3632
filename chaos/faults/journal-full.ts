import { agentOf, BACKENDS, type BackendName } from '../installation/layout.ts';
import { type FaultKind, NO_EFFECTS } from './fault.ts';

/** The agent's disk is full, and its store away: there is nowhere to put a change, and no answer may say so. */
export const journalFull: FaultKind = {
  name: 'journal-full',
  weight: 1.5,
  choose: (random) => ({
    target: random.pick(BACKENDS),
    durationMs: Math.round(random.logUniform(1_000, 8_000)),
  }),
  effects: ({ target }) => {
    const backend = target as BackendName;
    return {
      ...NO_EFFECTS,
      touches: [`${agentOf(backend)}→redis`, `disk of ${backend}`],
      storeAwayFor: [backend],
      concerns: [backend],
    };
  },
  async begin(installation, { target }) {
    const backend = target as BackendName;
    const link = installation.link(`${agentOf(backend)}→redis`);
    await installation.disk(backend).fill();
    await link.cut();
    return async () => {
      await installation.disk(backend).clear();
      await link.mend();
    };
  },
  unavailable: (installation) =>
    installation.disk('express-1').canBeFilled
      ? undefined
      : 'no right to mount a small disk (tmpfs) for the journals',
};
