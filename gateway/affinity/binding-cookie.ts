import type { Backend } from '../backends/backend.ts';
import type { Lease } from '../leases/lease.ts';
import type { Stamp } from '../leases/stamp.ts';
import type { Destination } from '../routing/destinations.ts';
import type { Route } from '../routing/router.ts';
import type { SessionReference } from '../sessions/session-reference.ts';

/** Where a client is bound after an answer. */
export interface AnsweredBinding {
  readonly backend: Backend;
  readonly session: SessionReference | undefined;
  /** Of the session's record; 0 when there is none. */
  readonly epoch: number;
  /** As of when that was right. */
  readonly stamp: Stamp | undefined;
  /**
   * The session was logged out. Its client stays bound to it, an epoch on and without a stamp: that is newer than whatever a
   * gateway may still believe of the session, and nothing to follow. So each looks the old ID up if it comes again.
   */
  readonly hasEnded: boolean;
}

/** @param next - the session that the answer begins, or the new ID of the one that there was */
export function bindingAfter(
  { backend, epoch, stamp, ended }: Destination,
  session: SessionReference | undefined,
  next?: SessionReference,
): AnsweredBinding {
  if (next) return { backend, session: next, epoch: 0, stamp, hasEnded: false };
  const binding = { backend, session, epoch, stamp, hasEnded: false };
  return ended ? asEnded({ ...binding, ...ended }) : binding;
}

export function asEnded(binding: AnsweredBinding): AnsweredBinding {
  return { ...binding, epoch: binding.epoch + 1, stamp: undefined, hasEnded: true };
}

/** The Set-Cookie value that tells the client where it is bound now, or `undefined` when what it has is still right. */
export function bindingCookie(
  route: Route,
  { backend, session: current, epoch, stamp, hasEnded }: AnsweredBinding,
  encrypted: boolean,
): string | undefined {
  const cookies = route.routing.affinity;
  const { affinity } = route;
  const { lease } = backend;
  const now = Date.now();
  const session = current ? cookies.sessionTag(current.id, affinity) : 0;
  const same = affinity !== undefined && affinity.backend === backend.id;
  if (
    same &&
    affinity.session === session &&
    (epoch === 0 || affinity.epoch === epoch) &&
    !cookies.needsRenewal(affinity, now) &&
    // Not so when the binding was confirmed since the client got its cookie: it shall not be looked up again.
    (!current || affinity.stamp === stamp || !(hasEnded || isNewer(lease, stamp, affinity.stamp, current)))
  ) {
    return undefined;
  }
  const value = cookies.issue({
    backend: backend.id,
    epoch,
    // Made with the signing key, which may not be the one that the client's cookie was made with.
    session: current ? cookies.sessionTag(current.id) : 0,
    stamp: current && lease.refreshed(stamp, current.ref),
    ...(same ? { issuedAt: affinity.issuedAt } : {}),
    now,
  });
  return cookies.setCookieHeader(value, { secure: encrypted });
}

function isNewer(
  lease: Lease,
  stamp: Stamp | undefined,
  than: Stamp | undefined,
  { ref }: SessionReference,
): boolean {
  return lease.vouchesFor(stamp, ref) && !lease.vouchesFor(than, ref);
}
