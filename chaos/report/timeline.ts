import type { Violation } from '../checker/verdict.ts';
import type { History, Operation } from '../history/history.ts';

const OPERATIONS_BEFORE = 12;
const OPERATIONS_AFTER = 3;

/** What a session's client and the faults did around a violation, one line each, in order: where to begin to look. */
export function timeline({ session, operation: number }: Violation, history: History): string[] {
  if (session === undefined) return [];
  const own = history.operations.filter((operation) => operation.session === session);
  const at = own.findIndex((operation) => operation.number === number);
  const shown = own.slice(Math.max(0, at - OPERATIONS_BEFORE), at + 1 + OPERATIONS_AFTER);
  const from = (shown[0]?.invokedAt ?? 0) - 1_000;
  const to = shown.at(-1)?.completedAt ?? 0;
  const faults = history.faults.filter((fault) => fault.to >= from && fault.from <= to);
  const lines = [
    ...shown.map((operation) => ({
      at: operation.invokedAt,
      text: describe(operation, operation.number === number),
    })),
    ...faults.flatMap(({ kind, target, variant = '', from: begin, to: end }) => [
      { at: begin, text: `-- ${kind} ${target} ${variant} begins` },
      { at: end, text: `-- ${kind} ${target} ends` },
    ]),
    ...history.commits
      .filter(({ key }) => shown.some((operation) => operation.key === key))
      .map(({ at: when, owner, epoch, seq }) => ({
        at: when,
        text: `   ${owner} commits in epoch ${epoch}, seq ${seq}`,
      })),
  ];
  return lines.sort((a, b) => a.at - b.at).map(({ at: when, text }) => `${seconds(when)} ${text}`);
}

function describe(operation: Operation, isIt: boolean): string {
  const { kind, token = '', gateway, key = 'no ID', completedAt, outcome, detail, answer } = operation;
  const result = answer
    ? `${answer.server} ${answer.generation ?? 'empty'} [${answer.tokens.slice(-4).join(' ')}] of ${answer.tokens.length}`
    : detail;
  return `${isIt ? '>>' : '  '} ${kind} ${token} at ${gateway} as ${key} → ${seconds(completedAt)} ${outcome}: ${result}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3).padStart(8);
}
