import type { Backend } from '../backends/backend.ts';
import type { Route } from '../routing/router.ts';

/**
 * The Set-Cookie value that tells the client where it is bound now, or `undefined` when what it has is still right.
 *
 * @param sessionId - the session after this answer
 * @param epoch - of its record; 0 when there is none
 */
export function bindingCookie(
  route: Route,
  backend: Backend,
  epoch: number,
  sessionId: string | undefined,
  encrypted: boolean,
): string | undefined {
  const cookies = route.routing.affinity;
  const { affinity } = route;
  const now = Date.now();
  const session = sessionId === undefined ? 0 : cookies.sessionTag(sessionId, affinity);
  const same = affinity !== undefined && affinity.backend === backend.id;
  if (
    same &&
    affinity.session === session &&
    (epoch === 0 || affinity.epoch === epoch) &&
    // Seen before the backend came up: the record has confirmed it since, so the client shall not be looked up again.
    affinity.seenAt >= backend.upSince &&
    !cookies.needsRenewal(affinity, now)
  ) {
    return undefined;
  }
  const value = cookies.issue({
    backend: backend.id,
    epoch,
    // Made with the signing key, which may not be the one that the client's cookie was made with.
    session: sessionId === undefined ? 0 : cookies.sessionTag(sessionId),
    ...(same ? { issuedAt: affinity.issuedAt } : {}),
    now,
  });
  return cookies.setCookieHeader(value, { secure: encrypted });
}
