import { type Column, formatTable } from '../../cli/table.ts';
import { FIGURES, type Medians } from './figures.ts';
import { PROXY_NAMES } from './proxy.ts';

/** What a run shares with one that was stored. */
export interface Stored {
  readonly machine: object;
  readonly options: object;
  readonly medians: Medians;
}

export interface Change {
  readonly figure: string;
  readonly proxy: string;
  readonly before: number;
  readonly now: number;
  readonly percent: number;
  /** By the figure's direction; a change of nothing is not worse. */
  readonly worse: boolean;
}

/** Every figure that both runs have. */
export function changes(before: Medians, now: Medians): Change[] {
  return Object.entries(FIGURES).flatMap(([figure, { better }]) =>
    PROXY_NAMES.flatMap((proxy) => {
      const a = before[figure]?.[proxy];
      const b = now[figure]?.[proxy];
      if (a === undefined || b === undefined) return [];
      const percent = (b / a - 1) * 100;
      return [
        { figure, proxy, before: a, now: b, percent, worse: better === 'more' ? percent < 0 : percent > 0 },
      ];
    }),
  );
}

/** What it costs, or saves, since the run that was stored. */
export function comparisonReport(before: Stored, now: Stored, file: string): string {
  const found = changes(before.medians, now.medians);
  const names = PROXY_NAMES.filter((name) => found.some(({ proxy }) => proxy === name));
  const columns: Column[] = names.map((name) => ({ title: name, align: 'right' }));
  const rows = Object.entries(FIGURES).flatMap(([figure, { title }]) => {
    const cells = names.map((name) =>
      found.find((change) => change.figure === figure && change.proxy === name),
    );
    return cells.some(Boolean) ? [[title, ...cells.map((change) => (change ? percent(change) : '–'))]] : [];
  });
  const differs = (['machine', 'options'] as const).filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]),
  );
  return [
    `\nchange since ${file}; "!" is a change for the worse\n`,
    ...differs.map((key) => `NOT COMPARABLE WITHOUT CARE: its ${key} were ${JSON.stringify(before[key])}\n`),
    formatTable([{ title: '' }, ...columns], rows),
  ].join('');
}

function percent({ percent, worse }: Change): string {
  return `${percent >= 0 ? '+' : '−'}${Math.abs(percent).toFixed(1)} %${worse ? ' !' : '  '}`;
}
