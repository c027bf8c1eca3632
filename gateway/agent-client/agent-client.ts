import type {
  AdoptAnswer,
  AdoptRequest,
  AgentStatus,
  CommitAnswer,
  CommitRequest,
  ReleaseAnswer,
  ReleaseIdleAnswer,
  ReleaseIdleRequest,
  ReleaseRequest,
} from '../../protocol/agent-api.ts';
import { StickshiftError } from '../../protocol/errors.ts';
import type { Backend } from '../backends/backend.ts';

export interface AgentClientOptions {
  /** Bearer token of the agents' control API. */
  readonly token: string;
  /** How long one call may take, milliseconds; a commit takes its own. */
  readonly timeoutMs: number;
}

/**
 * Calls of the session agents. They reject with a `StickshiftError`:
 * - `AGENT_UNREACHABLE`: no connection came about; the call certainly had no effect
 * - `AGENT_NO_ANSWER`: timed out or broken off; whether it had an effect is not known
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
  status(backend: Backend, signal?: AbortSignal): Promise<AgentStatus>;
  /** Closes the connections. Calls under way fail. */
  close(): void;
}

export function createAgentClient(_options: AgentClientOptions): AgentClient {
  throw new StickshiftError('INTERNAL', 'not built yet');
}
