export interface Measurement {
  readonly requestsPerSecond: number;
  /** User and system time of the proxy's process, all threads. */
  readonly cpuMicrosPerRequest: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
  /** Answers other than 200, and connections that broke. */
  readonly errors: number;
}

/** One line per result, right-aligned under its heading. */
export function table(results: Readonly<Record<string, Measurement>>): string {
  const rows = Object.entries(results).map(([name, result]) => [
    name,
    result.requestsPerSecond.toFixed(0),
    result.cpuMicrosPerRequest.toFixed(1),
    result.p50Millis.toFixed(2),
    result.p99Millis.toFixed(2),
    String(result.errors),
  ]);
  const lines = [['', 'requests/s', 'CPU µs/request', 'p50 ms', 'p99 ms', 'errors'], ...rows];
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map(([name = '', ...cells]) =>
      [
        name.padEnd(widths[0] ?? 0),
        ...cells.map((cell, index) => cell.padStart(widths[index + 1] ?? 0)),
      ].join('  '),
    )
    .join('\n');
}

/** How much more CPU one takes for a request than the other. */
export function compare(results: Readonly<Record<string, Measurement>>, base: string, other: string): string {
  const a = results[base]?.cpuMicrosPerRequest ?? Number.NaN;
  const b = results[other]?.cpuMicrosPerRequest ?? Number.NaN;
  return `${other} takes ${(b - a).toFixed(1)} µs more CPU per request than ${base} (${(b / a).toFixed(2)} times)`;
}
