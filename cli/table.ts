export interface Column {
  readonly title: string;
  /** Numbers stand on the right. */
  readonly align?: 'right';
}

/** Aligned columns, two spaces apart, without a trailing space. Each line ends with a newline. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) => {
      const cells = columns.map(({ align }, index) => {
        const cell = line[index] ?? '';
        const width = widths[index] ?? 0;
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      });
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
