import { type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type {
  AdoptAnswer,
  AdoptRequest,
  CommitAnswer,
  CommitRequest,
  ReleaseAnswer,
  ReleaseIdleAnswer,
  ReleaseIdleRequest,
  ReleaseRequest,
} from '../../protocol/agent-api.ts';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { ATTRIBUTE, SPAN } from '../../protocol/telemetry-names.ts';
import type { CommitTerms } from '../replicator/commit-answers.ts';

/** What the control API needs of the agent. */
export interface AgentOperations {
  adopt(request: AdoptRequest): Promise<AdoptAnswer>;
  release(request: ReleaseRequest): Promise<ReleaseAnswer>;
  releaseIdle(request: ReleaseIdleRequest): Promise<ReleaseIdleAnswer>;
  commit(request: CommitRequest): Promise<CommitAnswer>;
}

/** The part of a session agent behind {@link AgentOperations}. */
interface Sessions {
  adopt(sessionId: string, ifEpoch: number): Promise<AdoptAnswer>;
  release(sessionId: string): Promise<ReleaseAnswer>;
  releaseIdle(except: ReadonlySet<string>, limit: number): Promise<ReleaseIdleAnswer>;
  commit(
    sessionIds: readonly string[],
    timeoutMs: number,
    terms: CommitTerms,
  ): Promise<CommitAnswer['sessions']>;
}

const tracer = trace.getTracer('stickshift');

/** Carries operations out under a span each, a child of the gateway's. */
export function tracedOperations(
  sessions: Sessions,
  { backend, incarnation }: { readonly backend: string; readonly incarnation: string },
  deriveKey: (sessionId: string) => SessionKey,
): AgentOperations {
  return {
    adopt: ({ sessionId, ifEpoch, reason }) =>
      spanned(SPAN.adopt, backend, async (span) => {
        const answer = await sessions.adopt(sessionId, ifEpoch);
        if (span.isRecording()) {
          span.setAttributes({
            [ATTRIBUTE.sessionKey]: deriveKey(sessionId),
            [ATTRIBUTE.reason]: reason,
            [ATTRIBUTE.outcome]: answer.outcome,
          });
          if (answer.outcome === 'unknown') fail(span, answer.code);
          if (answer.outcome === 'found') {
            span.setAttributes({
              [ATTRIBUTE.epoch]: answer.epoch,
              [ATTRIBUTE.seq]: answer.seq,
              [ATTRIBUTE.snapshotAgeMs]: answer.ageMs,
              [ATTRIBUTE.snapshotSize]: answer.size,
            });
          }
        }
        return answer.outcome === 'found' ? { ...answer, incarnation } : answer;
      }),
    release: ({ sessionId }) =>
      spanned(SPAN.release, backend, async (span) => {
        const answer = await sessions.release(sessionId);
        if (span.isRecording()) {
          span.setAttributes({
            [ATTRIBUTE.sessionKey]: deriveKey(sessionId),
            [ATTRIBUTE.outcome]: answer.outcome,
          });
          if (answer.outcome === 'unknown') fail(span, answer.code);
          if (answer.outcome === 'released') {
            span.setAttributes({ [ATTRIBUTE.epoch]: answer.epoch, [ATTRIBUTE.seq]: answer.seq });
          }
        }
        return answer;
      }),
    releaseIdle: ({ except, limit }) => sessions.releaseIdle(new Set(except), limit),
    commit: ({ sessionIds, timeoutMs, incarnation: expected = incarnation, durability, failed }) =>
      spanned(SPAN.commit, backend, async (span) => {
        const since = expected === incarnation ? 'this-life' : 'earlier';
        const commits = await sessions.commit(sessionIds, timeoutMs, { since, durability, failed });
        if (span.isRecording()) {
          span.setAttributes({
            [ATTRIBUTE.sessionKey]: sessionIds.map(deriveKey),
            [ATTRIBUTE.outcome]: commits.map(({ outcome }) => outcome),
          });
          for (const commit of commits) if (commit.outcome === 'unknown') fail(span, commit.code);
        }
        return { sessions: commits };
      }),
  };
}

function spanned<T>(name: string, backend: string, operation: (span: Span) => Promise<T>): Promise<T> {
  const attributes = { [ATTRIBUTE.backend]: backend };
  return tracer.startActiveSpan(name, { kind: SpanKind.SERVER, attributes }, async (span) => {
    try {
      return await operation(span);
    } catch (error) {
      fail(span, asStickshiftError(error).code);
      throw error;
    } finally {
      span.end();
    }
  });
}

function fail(span: Span, code: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}
