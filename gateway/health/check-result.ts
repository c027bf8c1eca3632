import type { ErrorCode } from '../../protocol/errors.ts';

/** What one active check found. */
export type CheckResult = GoodCheck | BadCheck;

export interface GoodCheck {
  readonly good: true;
  /** The agent's, when it was an agent. */
  readonly incarnation?: string;
}

export interface BadCheck {
  readonly good: false;
  /** For the log. */
  readonly reason: string;
  readonly code: ErrorCode | 'AGENT_NOT_READY';
  /** It cannot be a passing trouble: one such check is enough. */
  readonly certain: boolean;
}
