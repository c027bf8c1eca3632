import { setTimeout as sleep } from 'node:timers/promises';
import { BACKENDS, type BackendName, GATEWAYS, type GatewayName } from '../installation/layout.ts';
import { type FaultKind, NO_EFFECTS } from './fault.ts';

const WITHIN_MS = 20_000;

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
    const end = () => untilSet(() => admin.setState(target, 'ready'));
    // Gateways share the state through the store, which may be away for the moment. Whether it was changed is then not known: it is
    // tried until it has been, and the backend is made ready again in any case.
    await untilSet(() => admin.setState(target, 'drain')).catch(async (error: unknown) => {
      await end();
      throw error;
    });
    return end;
  },
};

/** Rejects when it cannot be done in 20 s. */
async function untilSet(setState: () => Promise<void>): Promise<void> {
  const giveUp = performance.now() + WITHIN_MS;
  for (;;) {
    try {
      return await setState();
    } catch (error) {
      if (performance.now() > giveUp) throw error;
      await sleep(200);
    }
  }
}
