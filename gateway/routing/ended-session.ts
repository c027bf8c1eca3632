import type { IncomingHttpHeaders } from 'node:http';
import { stripCookie } from '../cookies/cookie-header.ts';
import type { SessionReference } from '../sessions/session-reference.ts';
import type { Route } from './router.ts';

/** A session that was logged out, and whose ID has come again. */
export interface EndedSession {
  readonly session: SessionReference;
  /** Of its tombstone. */
  readonly epoch: number;
}

/**
 * Takes the cookie of a session that was logged out off a request, so that the app begins another one under an ID of its
 * own making. PHP, unless told otherwise, takes any ID that a client comes with, and apps seldom take the cookie away at a
 * logout: what it then kept under the old ID would all be refused, because of the tombstone.
 *
 * @param forwarded - the headers for the backend; changed
 * @returns the route of a request without a session. An ID that came in another place stays: the app has made it itself.
 */
export function hideEndedSession(route: Route, forwarded: IncomingHttpHeaders): Route {
  const name = route.routing.pool.config.session.cookie;
  if (name === undefined || forwarded.cookie === undefined) return route;
  const rest = stripCookie(forwarded.cookie, name);
  if (rest === forwarded.cookie) return route;
  if (rest === undefined) delete forwarded.cookie;
  else forwarded.cookie = rest;
  return { ...route, session: undefined };
}
