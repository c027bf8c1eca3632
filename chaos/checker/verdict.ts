/**
 * - `lost`: an acknowledged append, or a token that was once seen, is in no later answer
 * - `resurrected`: a session that was logged out, or an ID from before a login, answered with what it had held
 * - `gone-back`: an answer lacked what was there before and after it
 * - `duplicated`, `reordered`, `foreign`: a token twice, out of order, or in a session that never appended it
 * - `disagreement`: when all had healed, the gateways gave different answers
 * - `two-owners`: two backends committed in the same epoch of a session
 * - `unanswered`: when all had healed, a session could still not be read
 */
export type ViolationKind =
  | 'lost'
  | 'resurrected'
  | 'gone-back'
  | 'duplicated'
  | 'reordered'
  | 'foreign'
  | 'disagreement'
  | 'two-owners'
  | 'unanswered';

export interface Violation {
  readonly kind: ViolationKind;
  /** undefined with `two-owners`, which only knows a key. */
  readonly session: number | undefined;
  readonly key: string | undefined;
  /** Number of the operation whose answer shows it. */
  readonly operation: number | undefined;
  /** What is lost, and so on. */
  readonly tokens: readonly string[];
  readonly message: string;
}

/** Of the kinds that make two histories of one session. */
const DIVERGED: ReadonlySet<ViolationKind> = new Set([
  'gone-back',
  'duplicated',
  'reordered',
  'foreign',
  'disagreement',
  'two-owners',
]);

export interface Verdict {
  readonly violations: readonly Violation[];
  /** Tokens. */
  readonly lost: number;
  /** Answers. */
  readonly resurrected: number;
  /** Answers, and epochs with two owners. */
  readonly diverged: number;
  /** Sessions that nobody could read at the end. */
  readonly unanswered: number;
}

export function verdictOf(violations: readonly Violation[]): Verdict {
  const count = (has: (kind: ViolationKind) => boolean) => violations.filter(({ kind }) => has(kind)).length;
  const lost = violations.filter(({ kind }) => kind === 'lost').flatMap(({ tokens }) => tokens);
  return {
    violations,
    lost: new Set(lost).size,
    resurrected: count((kind) => kind === 'resurrected'),
    diverged: count((kind) => DIVERGED.has(kind)),
    unanswered: count((kind) => kind === 'unanswered'),
  };
}
