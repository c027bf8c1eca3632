import { setTimeout as delay } from 'node:timers/promises';

const BOUND_MS = 10_000;

/** Waits until the condition holds; fails, naming it, when it does not within a generous bound. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const giveUpAt = performance.now() + BOUND_MS;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`did not come true: ${what}`);
    await delay(5);
  }
}
