import { Agent } from 'node:http';
import {
  type Context,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type * as z from 'zod';
import {
  type AdoptAnswer,
  type AdoptRequest,
  AGENT_API,
  type AgentStatus,
  type CommitAnswer,
  type CommitRequest,
  type LeaseAnswer,
  type LeaseRequest,
  type ReleaseAnswer,
  type ReleaseIdleAnswer,
  type ReleaseIdleRequest,
  type ReleaseRequest,
} from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import { ATTRIBUTE } from '../../protocol/telemetry-names.ts';
import type { Backend } from '../backends/backend.ts';
import { type ExchangeAnswer, ExchangeFailure, exchange } from '../exchange/exchange.ts';
import { parseJson } from '../exchange/parse-json.ts';
import {
  adoptAnswer,
  agentStatus,
  commitAnswer,
  leaseAnswer,
  releaseAnswer,
  releaseIdleAnswer,
} from './agent-answers.ts';
import { invalidAnswer, noAnswer, refusal } from './call-errors.ts';

/** Connections to one agent. Calls beyond them wait for their turn, within their own time limit. */
const MAX_CONNECTIONS = 128;
/**
 * Shorter than the agent's 75 s: a call must not meet a connection that the agent is closing. All that were in use are kept so long.
 * Every held write is a call, so with fewer of them, a busy gateway would open and close connections all the time.
 */
const IDLE_MS = 60_000;
/** Answers of an agent are small; whatever is longer is not one. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** How much longer than the agent itself we wait for a commit. */
const COMMIT_GRACE_MS = 250;
/** How long an agent may think about a lease call, and how much longer when it may wait for news. */
const LEASE_TIMEOUT_MS = 1_000;
const LEASE_WAIT_MS = 250;

export interface AgentClientOptions {
  /** Bearer token of the agents' control API. */
  readonly token: string;
  /** How long one call may take, milliseconds; a commit takes its own. */
  readonly timeoutMs: number;
  /** How much longer a release may take, while other gateways let requests of the session finish, milliseconds. Default 0. */
  readonly releasePatienceMs?: number;
}

/**
 * Calls of the session agents. They reject with a `StickshiftError`:
 * - `AGENT_UNREACHABLE`: no connection came about; the call certainly had no effect
 * - `AGENT_NO_ANSWER`: timed out, broken off or aborted; whether it had an effect is not known
 * - `AGENT_INVALID`: answered nonsense, or refused the call
 * - `AGENT_MISMATCH`: the agent serves another backend; no effect
 * - another code of source `agent` or `store` that the agent itself named
 */
export interface AgentClient {
  adopt(backend: Backend, request: Omit<AdoptRequest, 'backend'>, signal?: AbortSignal): Promise<AdoptAnswer>;
  release(
    backend: Backend,
    request: Omit<ReleaseRequest, 'backend'>,
    signal?: AbortSignal,
  ): Promise<ReleaseAnswer>;
  releaseIdle(
    backend: Backend,
    request: Omit<ReleaseIdleRequest, 'backend'>,
    signal?: AbortSignal,
  ): Promise<ReleaseIdleAnswer>;
  /** Waits a little longer than `timeoutMs`, so that the agent's own "not in time" arrives. */
  commit(
    backend: Backend,
    request: Omit<CommitRequest, 'backend'>,
    signal?: AbortSignal,
  ): Promise<CommitAnswer>;
  lease(backend: Backend, request: Omit<LeaseRequest, 'backend'>, signal?: AbortSignal): Promise<LeaseAnswer>;
  status(backend: Backend, signal?: AbortSignal): Promise<AgentStatus>;
  /** Closes the connections. Calls under way fail. */
  close(): void;
}

interface Call<Answer> {
  readonly path: string;
  readonly body?: object;
  readonly answer: z.ZodType<Answer>;
  readonly timeoutMs?: number;
  /** Default: the connections of all calls. */
  readonly connections?: Agent;
  readonly signal: AbortSignal | undefined;
}

export function createAgentClient(options: AgentClientOptions): AgentClient {
  // One `Agent` keeps a pool for each host and port; its limits hold for each of them.
  const connections = new Agent({
    keepAlive: true,
    scheduling: 'lifo',
    maxSockets: MAX_CONNECTIONS,
    maxFreeSockets: MAX_CONNECTIONS,
    timeout: IDLE_MS,
  });
  // Of their own: a lease must not run out because calls wait in line.
  const leaseConnections = new Agent({ keepAlive: true });
  const releaseTimeoutMs = options.timeoutMs + (options.releasePatienceMs ?? 0);

  async function call<Answer>(backend: Backend, call: Call<Answer>): Promise<Answer> {
    const { path, body, answer: schema, timeoutMs = options.timeoutMs, signal } = call;
    const method = body ? 'POST' : 'GET';
    return withClientSpan(backend, `${method} ${path}`, async (active, span) => {
      const headers: Record<string, string> = { authorization: `Bearer ${options.token}` };
      const text = body && JSON.stringify({ backend: backend.id, ...body });
      if (text !== undefined) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = String(Buffer.byteLength(text));
      }
      propagation.inject(active, headers);
      const url = new URL(path, backend.agentUrl);
      let answer: ExchangeAnswer;
      try {
        answer = await exchange({
          url,
          method,
          headers,
          body: text,
          agent: call.connections ?? connections,
          timeoutMs,
          maxBytes: MAX_ANSWER_BYTES,
          overlong: 'fails',
          signal,
        });
      } catch (error) {
        throw error instanceof ExchangeFailure ? noAnswer(backend, error) : error;
      }
      backend.lease.heard();
      span?.setAttribute('http.response.status_code', answer.status);
      if (answer.resends > 0) span?.setAttribute('http.request.resend_count', answer.resends);
      if (answer.status < 200 || answer.status > 299) throw refusal(backend, answer);
      const parsed = schema.safeParse(parseJson(answer.body));
      if (!parsed.success) throw invalidAnswer(backend, `${path}: not an answer of the protocol`);
      return parsed.data;
    });
  }

  return {
    adopt: (backend, body, signal) =>
      call(backend, { path: AGENT_API.adopt, body, answer: adoptAnswer, signal }),
    release: (backend, body, signal) =>
      call(backend, {
        ...{ path: AGENT_API.release, body, answer: releaseAnswer, signal },
        timeoutMs: releaseTimeoutMs,
      }),
    releaseIdle: (backend, body, signal) =>
      call(backend, {
        ...{ path: AGENT_API.releaseIdle, body, answer: releaseIdleAnswer, signal },
        timeoutMs: releaseTimeoutMs,
      }),
    commit: async (backend, body, signal) => {
      const timeoutMs = body.timeoutMs + COMMIT_GRACE_MS;
      const answer = await call(backend, {
        path: AGENT_API.commit,
        body,
        answer: commitAnswer,
        timeoutMs,
        signal,
      });
      if (answer.sessions.length !== body.sessionIds.length) {
        throw invalidAnswer(
          backend,
          `${answer.sessions.length} commits for ${body.sessionIds.length} sessions`,
        );
      }
      return answer;
    },
    lease: (backend, body, signal) =>
      call(backend, {
        ...{ path: AGENT_API.lease, body, answer: leaseAnswer, signal },
        timeoutMs: LEASE_TIMEOUT_MS + (body.wait ? LEASE_WAIT_MS : 0),
        connections: leaseConnections,
      }),
    status: async (backend, signal) => {
      const status = await call(backend, { path: AGENT_API.status, answer: agentStatus, signal });
      if (status.backend !== backend.id) {
        const at = backend.agentUrl.host;
        throw new StickshiftError(
          'AGENT_MISMATCH',
          `the agent at ${at} serves ${status.backend}, not ${backend.id}`,
        );
      }
      return status;
    },
    close: () => {
      connections.destroy();
      leaseConnections.destroy();
    },
  };
}

/** A client span, but only inside a trace that is recorded: the calls of an unsampled request cost nothing. */
async function withClientSpan<Result>(
  backend: Backend,
  name: string,
  work: (active: Context, span: Span | undefined) => Promise<Result>,
): Promise<Result> {
  const active = context.active();
  if (!trace.getSpan(active)?.isRecording()) return work(active, undefined);
  const span = trace.getTracer('stickshift').startSpan(name, {
    kind: SpanKind.CLIENT,
    attributes: {
      [ATTRIBUTE.backend]: backend.id,
      'server.address': backend.agentUrl.hostname,
      'server.port': Number(backend.agentUrl.port || 80),
    },
  });
  try {
    return await work(trace.setSpan(active, span), span);
  } catch (error) {
    span.setStatus({
      code: SpanStatusCode.ERROR,
      message: error instanceof StickshiftError ? error.code : 'INTERNAL',
    });
    throw error;
  } finally {
    span.end();
  }
}
