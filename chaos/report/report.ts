import type { Verdict, Violation } from '../checker/verdict.ts';
import type { Policies } from '../faults/fault.ts';
import type { History, Operation, OperationKind, Outcome } from '../history/history.ts';
import type { ChaosOptions } from '../options.ts';
import { type Recovery, recovery } from './recovery.ts';
import { timeline } from './timeline.ts';

type Outcomes = Readonly<Record<Outcome, number>>;

export interface ChaosReport {
  readonly seed: number;
  readonly control: string;
  readonly minutes: number;
  readonly clients: number;
  readonly policies: Policies;
  /** From the first operation to the last, seconds. */
  readonly seconds: number;
  readonly sessions: number;
  readonly operations: number;
  readonly outcomes: Outcomes;
  readonly kinds: Readonly<Record<string, Outcomes>>;
  readonly faults: Readonly<Record<string, { readonly count: number; readonly recovery: Recovery }>>;
  readonly recovery: Recovery;
  readonly lost: number;
  readonly resurrected: number;
  readonly diverged: number;
  readonly unanswered: number;
  /** With what happened around each; the first of them only. */
  readonly violations: readonly (Violation & { readonly timeline: readonly string[] })[];
  /** What went wrong beside the promises: a process that ended by itself, an installation that did not get well. */
  readonly problems: readonly string[];
  /** Faults that could not happen on this machine. */
  readonly skipped: readonly string[];
  /** Logs and history, when they were kept. */
  readonly directory?: string;
}

const MOST_VIOLATIONS = 25;

export interface ReportMaterial {
  readonly options: ChaosOptions;
  readonly policies: Policies;
  readonly history: History;
  readonly verdict: Verdict;
  readonly problems: readonly string[];
  readonly skipped: readonly string[];
}

export function makeReport(material: ReportMaterial): ChaosReport {
  const { options, policies, history, verdict, problems, skipped } = material;
  const { operations, faults } = history;
  const kinds = [...new Set(faults.map(({ kind }) => kind))].sort();
  const first = operations[0]?.invokedAt ?? 0;
  const last = operations.at(-1)?.completedAt ?? 0;
  return {
    seed: options.seed,
    control: options.control,
    minutes: options.minutes,
    clients: options.clients,
    policies,
    seconds: Math.round((last - first) / 1000),
    sessions: new Set(operations.map(({ session }) => session)).size,
    operations: operations.length,
    outcomes: outcomesOf(operations),
    kinds: Object.fromEntries(
      (['append', 'read', 'login', 'logout', 'attack', 'final'] satisfies OperationKind[]).map((kind) => [
        kind,
        outcomesOf(operations.filter((operation) => operation.kind === kind)),
      ]),
    ),
    faults: Object.fromEntries(
      kinds.map((kind) => {
        const own = faults.filter((fault) => fault.kind === kind);
        return [kind, { count: own.length, recovery: recovery(own, operations) }];
      }),
    ),
    recovery: recovery(faults, operations),
    lost: verdict.lost,
    resurrected: verdict.resurrected,
    diverged: verdict.diverged,
    unanswered: verdict.unanswered,
    violations: verdict.violations
      .slice(0, MOST_VIOLATIONS)
      .map((violation) => ({ ...violation, timeline: timeline(violation, history) })),
    problems,
    skipped,
  };
}

/** Whether a promise was broken, or the run did not go as it should. */
export function isBroken({ lost, resurrected, diverged, unanswered, problems }: ChaosReport): boolean {
  return lost + resurrected + diverged + unanswered > 0 || problems.length > 0;
}

function outcomesOf(operations: readonly Operation[]): Outcomes {
  const count = (outcome: Outcome) => operations.filter((operation) => operation.outcome === outcome).length;
  return { ok: count('ok'), refused: count('refused'), indeterminate: count('indeterminate') };
}
