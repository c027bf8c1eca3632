import 'express-session';

export interface CartItem {
  /** Chosen by the client, or by the shop when the client names none. */
  readonly id: string;
  readonly name: string;
}

/** One stay of a session on one server. */
export interface JourneyStop {
  readonly server: string;
  /** When the session arrived there, milliseconds since 1970. */
  readonly since: number;
}

declare module 'express-session' {
  interface SessionData {
    cart: CartItem[];
    customer: string;
    journey: JourneyStop[];
  }
}

const LONGEST_JOURNEY = 20;

/**
 * The journey after a request on `server`: unchanged (the same array) when the session was there already. Of a
 * journey that grows too long, the beginning and the latest stops are kept.
 */
export function continueJourney(
  journey: readonly JourneyStop[],
  server: string,
  now: number,
): readonly JourneyStop[] {
  if (journey.at(-1)?.server === server) return journey;
  const longer = [...journey, { server, since: now }];
  return longer.length <= LONGEST_JOURNEY ? longer : [...longer.slice(0, 1), ...longer.slice(2)];
}
