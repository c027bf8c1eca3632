/** A move of the idle deadline below this is not worth a write, milliseconds. */
const SMALL_MOVE_MS = 30_000;
/** … or below this share of the time that the session has left. */
const SMALL_SHARE = 0.05;
/** Once the store's deadline has used up this share of the time that the app gives, it is moved whatever the distance. */
const LATE_SHARE = 0.5;

/**
 * Whether the store must be told of a moved idle deadline. Every request moves it; writing each move would make every
 * read a store write, the very thing that this design avoids.
 *
 * What is saved: with a day's lifetime one write per 72 minutes of use. What it can cost: a session that was used and
 * then taken over from a lost backend ends up to 5 % early. What it cannot cost is a session in use: a lifetime so short
 * that 30 s are most of it is written when half of it is gone, and {@link isTouchOverdue} brings the store up to date before its
 * deadline passes.
 */
export function isTouchDue(session: { idleAt: number; storedIdleAt: number }, now: number): boolean {
  const moved = session.idleAt - session.storedIdleAt;
  const left = session.idleAt - now;
  // An earlier deadline is a decision of the app, not mere use.
  if (moved < 0) return true;
  if (moved >= Math.max(left * SMALL_SHARE, SMALL_MOVE_MS)) return true;
  return moved > 0 && session.storedIdleAt - now < left * LATE_SHARE;
}

/** Whether the store would let the session expire within `horizonMs` although the app gives it longer. */
export function isTouchOverdue(
  session: { idleAt: number; storedIdleAt: number },
  now: number,
  horizonMs: number,
): boolean {
  return session.idleAt > session.storedIdleAt && session.storedIdleAt - now < horizonMs;
}
