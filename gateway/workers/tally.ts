/** Counts by name, to any depth. */
export type Tally = { readonly [name: string]: number | Tally };

/** Name by name, the sum of what each has there. A name that one lacks counts as nothing there. */
export function sumOf(tallies: readonly Tally[]): Tally {
  const sum: Record<string, number | Tally> = {};
  for (const name of new Set(tallies.flatMap((tally) => Object.keys(tally)))) {
    const values = tallies.map((tally) => tally[name] ?? 0);
    const below = values.filter((value): value is Tally => typeof value === 'object');
    sum[name] =
      below.length > 0
        ? sumOf(below)
        : values.reduce<number>((total, value) => total + (typeof value === 'number' ? value : 0), 0);
  }
  return sum;
}
