import * as z from 'zod';
import type {
  AdoptAnswer,
  AgentReadiness,
  AgentStatus,
  ApiErrorBody,
  CommitAnswer,
  LeaseAnswer,
  ReleaseAnswer,
  ReleaseIdleAnswer,
} from '../../protocol/agent-api.ts';

// An agent may be older, newer, broken or somebody else: nothing it says is used before it has passed here.

const count = z.int().nonnegative();
const epochAndSeq = { epoch: count, seq: count };
const unknown = z.object({ outcome: z.literal('unknown'), code: z.string().max(64) });

export const adoptAnswer = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('found'),
    epoch: count,
    seq: count,
    ageMs: z.number().nonnegative(),
    size: count,
    incarnation: z.string().min(1).max(128).optional(),
  }),
  z.object({ outcome: z.literal('absent') }),
  z.object({ outcome: z.literal('ended') }),
  z.object({ outcome: z.literal('moved'), owner: z.string().max(64), epoch: count }),
  unknown,
]) satisfies z.ZodType<AdoptAnswer>;

export const releaseAnswer = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('released'), epoch: count, seq: count }),
  z.object({ outcome: z.literal('not-held') }),
  unknown,
]) satisfies z.ZodType<ReleaseAnswer>;

export const releaseIdleAnswer = z.object({
  released: count,
  remaining: count,
  unprotected: count,
}) satisfies z.ZodType<ReleaseIdleAnswer>;

export const commitAnswer = z.object({
  sessions: z.array(
    z.discriminatedUnion('outcome', [
      z.object({ outcome: z.literal('committed'), ...epochAndSeq, unchanged: z.boolean().optional() }),
      z.object({ outcome: z.literal('accepted'), ...epochAndSeq }),
      z.object({ outcome: z.literal('journaled'), ...epochAndSeq }),
      z.object({ outcome: z.literal('not-held') }),
      z.object({ outcome: z.literal('ended') }),
      z.object({ outcome: z.literal('late') }),
      z.object({ outcome: z.literal('fenced') }),
      z.object({ outcome: z.literal('unprotected') }),
      unknown,
    ]),
  ),
}) satisfies z.ZodType<CommitAnswer>;

/** An hour of trust in an agent that has gone would be a mistake of somebody's. */
const LONGEST_LEASE_MS = 60_000;

export const leaseAnswer = z.object({
  incarnation: z.string().min(1).max(128),
  recall: count,
  ttlMs: count.max(LONGEST_LEASE_MS),
  renewed: count.optional(),
  recalls: z.array(
    z.object({
      recall: count,
      sessionIds: z.array(z.string().max(1024)),
      reason: z.enum(['release', 'lost', 'removed']),
    }),
  ),
}) satisfies z.ZodType<LeaseAnswer>;

export const agentReadiness = z.object({
  backend: z.string().max(64),
  application: z.string().max(64),
  incarnation: z.string().min(1).max(128),
  ready: z.boolean(),
  reason: z.string().max(1024).exactOptional(),
}) satisfies z.ZodType<AgentReadiness>;

export const agentStatus = agentReadiness.extend({
  source: z.enum(['express', 'files']),
  sessions: count,
  dirty: count,
  unprotected: count,
  atRisk: count,
  exposureMs: z.number().nonnegative(),
  store: z.enum(['ok', 'unreachable']),
  commits: z.object({ committed: count, fenced: count, stale: count, ended: count, failed: count }),
  journal: z.object({
    bytes: count,
    entries: count,
    failures: count,
    replayed: count,
    lostAtTakeover: count,
  }),
  reseeded: count,
}) satisfies z.ZodType<AgentStatus>;

export const apiErrorBody = z.object({
  error: z.object({
    code: z.string().max(64),
    message: z.string().max(1024),
    retrySafe: z.boolean(),
  }),
}) satisfies z.ZodType<ApiErrorBody>;
