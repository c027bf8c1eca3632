import { setTimeout as pause } from 'node:timers/promises';

/** Far beyond what any condition takes on a slow machine: reaching it means that the condition never comes. */
const BOUND_MS = 30_000;

/** Waits until `condition` gives something other than false or undefined, and returns it. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | false | undefined> | T | false | undefined,
): Promise<T> {
  const deadline = performance.now() + BOUND_MS;
  while (performance.now() < deadline) {
    const result = await condition();
    if (result !== false && result !== undefined) return result;
    await pause(20);
  }
  throw new Error(`waited ${BOUND_MS} ms in vain: ${what}`);
}
