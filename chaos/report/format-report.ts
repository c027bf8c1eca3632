import { type ChaosReport, isBroken } from './report.ts';

/** The report for people. */
export function formatReport(report: ChaosReport): string {
  const { outcomes, policies } = report;
  const lines = [
    '',
    `Seed ${report.seed}: ${report.seconds} s, ${report.clients} clients, ${report.sessions} sessions, ${report.operations} operations`,
    `Express ${describe(policies.express)}; PHP ${describe(policies.php)}${report.control === 'none' ? '' : `; control ${report.control}`}`,
    '',
    row('operations', 'acknowledged', 'refused', 'indeterminate'),
    ...Object.entries(report.kinds).map(([kind, { ok, refused, indeterminate }]) =>
      row(kind, ok, refused, indeterminate),
    ),
    row('all', outcomes.ok, outcomes.refused, outcomes.indeterminate),
    '',
    'From a fault to the first good answer of whoever it concerned, ms',
    row('fault', 'count', 'clients', 'p50', 'p99', 'max'),
    ...Object.entries(report.faults).map(([kind, { count, recovery }]) =>
      row(kind, count, recovery.clients, recovery.p50, recovery.p99, recovery.max),
    ),
    row('all', '', report.recovery.clients, report.recovery.p50, report.recovery.p99, report.recovery.max),
    '',
    ...report.violations.flatMap(({ kind, session, key, operation, tokens, message, timeline }) => [
      `✖ ${kind}: session ${session ?? '?'} (${key ?? 'no key'}), operation ${operation ?? '?'}: ${message}${tokens.length ? `: ${tokens.join(' ')}` : ''}`,
      ...timeline.map((line) => `    ${line}`),
    ]),
    ...report.problems.map((problem) => `✖ ${problem}`),
    ...report.skipped.map((skipped) => `⚠ not on this machine: ${skipped}`),
    `lost ${report.lost}   resurrected ${report.resurrected}   diverged ${report.diverged}   unanswered ${report.unanswered}`,
    isBroken(report) ? '✖ A promise was broken.' : '✔ Every promise held.',
  ];
  if (report.directory !== undefined) lines.push(`Logs and history: ${report.directory}`);
  return `${lines.join('\n')}\n`;
}

function describe({ durability, hold, onStoreDown }: ChaosReport['policies']['express']): string {
  return `${durability}, hold ${hold}, ${onStoreDown} while the store is away`;
}

function row(name: string, ...cells: readonly (string | number)[]): string {
  return `  ${name.padEnd(20)}${cells.map((cell) => String(cell).padStart(14)).join('')}`;
}
