import * as z from 'zod';
import type {
  AdoptRequest,
  CommitRequest,
  LeaseRequest,
  ReleaseIdleRequest,
  ReleaseRequest,
} from '../../protocol/agent-api.ts';

/** Longer session IDs than any framework makes; a longer one is an attack or a mistake. */
const sessionId = z.string().min(1).max(1024);
const backend = z.string().min(1).max(63);

export const adoptBody: z.ZodType<AdoptRequest> = z.object({
  backend,
  sessionId,
  ifEpoch: z.int().min(1),
  reason: z.enum(['takeover', 'drain', 'maintenance', 'rebalance', 'unowned']),
});

export const releaseBody: z.ZodType<ReleaseRequest> = z.object({ backend, sessionId });

export const releaseIdleBody: z.ZodType<ReleaseIdleRequest> = z.object({
  backend,
  except: z.array(sessionId),
  limit: z.int().min(1).max(10_000),
});

export const commitBody: z.ZodType<CommitRequest> = z.object({
  backend,
  sessionIds: z.array(sessionId).min(1).max(16),
  timeoutMs: z.int().min(0).max(60_000),
  incarnation: z.string().max(128).optional(),
  failed: z.boolean().optional(),
  durability: z
    .object({
      mode: z.enum(['async', 'ack', 'replica']),
      replicas: z.int().min(1).max(16).optional(),
      onStoreDown: z.enum(['serve', 'refuse']),
    })
    .optional(),
});

const recallNumbers = z.array(z.int().nonnegative()).max(10_000);

export const leaseBody: z.ZodType<LeaseRequest> = z.object({
  backend,
  gateway: z.string().min(1).max(128),
  seen: z.int().min(-1),
  acknowledged: recallNumbers,
  broken: recallNumbers.optional(),
  wait: z.boolean(),
  renew: z.boolean().optional(),
  leave: z.boolean().optional(),
});
