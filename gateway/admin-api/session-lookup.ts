import * as z from 'zod';
import { readJsonBody } from '../../json-api/json-body.ts';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import { isSessionKey, type SessionKey } from '../../protocol/session-key.ts';
import type { RecordSummary, SnapshotStore } from '../../store/snapshot-store.ts';
import type { Pool } from '../backends/pool.ts';
import { sessionIdFormat } from '../session-id/session-id-format.ts';
import {
  ADMIN_API,
  MAX_ADMIN_BODY,
  type SessionLookupAnswer,
  type SessionLookupRequest,
} from './admin-api-types.ts';
import { findPools } from './backend-lookup.ts';
import { sendJson } from './json-answers.ts';
import type { Route } from './router.ts';

const lookupRequest = z.strictObject({
  session: z.string().min(1).max(1024),
  pool: z.string().exactOptional(),
}) satisfies z.ZodType<SessionLookupRequest>;

/** A key under which the session may be found, and the pool that it then belongs to. */
interface Candidate {
  readonly key: SessionKey;
  readonly pool: Pool | undefined;
}

export function sessionLookupRoute(parts: { pools: readonly Pool[]; store: SnapshotStore }): Route {
  const { pools, store } = parts;
  return {
    method: 'POST',
    path: ADMIN_API.sessionLookup,
    handle: async ({ request, response }) => {
      const body = await readJsonBody(request, lookupRequest, MAX_ADMIN_BODY);
      const searched = findPools(pools, body.pool);
      sendJson(response, 200, await lookUp(body.session, searched, store));
    },
  };
}

/** @throws StickshiftError `NOT_FOUND` when every answer was "absent"; the store's own when it cannot tell */
async function lookUp(
  session: string,
  pools: readonly Pool[],
  store: SnapshotStore,
): Promise<SessionLookupAnswer> {
  const results = await Promise.allSettled(
    candidates(session, pools).map(async (candidate) => ({
      ...candidate,
      record: await store.lookup(candidate.key),
    })),
  );
  let failure: StickshiftError | undefined;
  for (const result of results) {
    if (result.status === 'rejected') failure = asStickshiftError(result.reason);
    else if (result.value.record) return describe(result.value, result.value.record, pools);
  }
  // One "absent" among failures proves nothing: the session may be where nobody could look.
  throw failure ?? new StickshiftError('NOT_FOUND', 'the store has no record of this session');
}

/**
 * What looks like a key may be one, or a session ID of the same form: some frameworks make 43 such characters, too. Likewise
 * an ID may have been copied out of a browser, in the form that the pool's cookie has.
 */
function candidates(session: string, pools: readonly Pool[]): Candidate[] {
  const [only, another] = pools;
  const found: Candidate[] = isSessionKey(session)
    ? [{ key: session, pool: another ? undefined : only }]
    : [];
  for (const pool of pools) {
    const inCookie = sessionIdFormat(pool.config.session.format)(session);
    const ids = typeof inCookie === 'string' ? new Set([session, inCookie]) : [session];
    for (const id of ids) found.push({ key: pool.sessionKey(id), pool });
  }
  return found;
}

function describe(candidate: Candidate, record: RecordSummary, pools: readonly Pool[]): SessionLookupAnswer {
  const pool = candidate.pool ?? onlyPoolWith(record.owner, pools);
  const { idleAt, absoluteAt } = record.deadlines;
  return {
    key: candidate.key,
    ...(pool && { pool: pool.name }),
    state: record.state,
    owner: record.owner,
    epoch: record.epoch,
    seq: record.seq,
    size: record.size,
    ageMs: record.ageMs,
    expiresAt: Math.min(idleAt, absoluteAt ?? Number.POSITIVE_INFINITY),
  };
}

/** A key does not tell its pool; its owner does, unless several pools have a backend of that name. */
function onlyPoolWith(owner: string, pools: readonly Pool[]): Pool | undefined {
  const [pool, another] = pools.filter(({ backends }) => backends.has(owner));
  return another ? undefined : pool;
}
