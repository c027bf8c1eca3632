import { setTimeout as sleep } from 'node:timers/promises';
import { BACKENDS, type BackendName, GATEWAYS, type GatewayName } from '../installation/layout.ts';
import { type FaultKind, NO_EFFECTS } from './fault.ts';

const READY_WITHIN_MS = 20_000;

/** An operator drains a backend at one gateway, and makes it ready again there. */
export const drain: FaultKind = {
  name: 'drain',
  weight: 3,
  choose: (random) => ({
    target: random.pick(BACKENDS),
    variant: random.pick(GATEWAYS),
    durationMs: Math.round(random.logUniform(1_500, 8_000)),
  }),
  effects: ({ target, variant = '' }) => ({
    ...NO_EFFECTS,
    touches: [variant, `state of ${target}`],
    concerns: [target as BackendName],
  }),
  async begin(installation, { target, variant }) {
    const admin = installation.admin(variant as GatewayName);
    await admin.setState(target, 'drain');
    return async () => {
      const giveUp = performance.now() + READY_WITHIN_MS;
      for (;;) {
        try {
          return await admin.setState(target, 'ready');
        } catch (error) {
          // A gateway shares the state through the store, which may be away for the moment.
          if (performance.now() > giveUp) throw error;
          await sleep(200);
        }
      }
    };
  },
};
