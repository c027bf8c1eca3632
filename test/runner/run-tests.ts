import { once } from 'node:events';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';
import type { TestGroup } from './groups.ts';
import { SilenceWatch } from './silence.ts';
import { noTotals, type Totals } from './totals.ts';

export interface SkippedTest {
  readonly file: string;
  readonly test: string;
  readonly reason: string;
}

export interface GroupResult {
  readonly name: string;
  readonly files: number;
  readonly totals: Totals;
  readonly skipped: readonly SkippedTest[];
  readonly success: boolean;
  readonly durationMs: number;
}

/** Telemetry that a developer has switched on for their shell must not receive what tests produce. */
const QUIET_TELEMETRY = {
  OTEL_TRACES_EXPORTER: 'none',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_LOGS_EXPORTER: 'none',
} as const;

/** The counts that the spec reporter prints at the end of each run; here they come once, for all groups. */
const CLOSING_COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** Runs the files of one group with node's test runner, a process per file, and reports to standard output. */
export async function runGroup(
  group: TestGroup,
  files: readonly string[],
  root: string,
  signal: AbortSignal,
): Promise<GroupResult> {
  const started = performance.now();
  const skipped: SkippedTest[] = [];
  let totals = noTotals();
  // Stays false when the run is cut off before its summary.
  let success = false;

  const report = new spec();
  report.pipe(process.stdout, { end: false });
  const silence = new SilenceWatch();
  const events = run({
    files: [...files],
    cwd: root,
    concurrency: group.concurrency,
    timeout: group.timeout,
    signal: AbortSignal.any([signal, silence.signal]),
    env: { ...process.env, ...QUIET_TELEMETRY },
  });
  for await (const event of events as AsyncIterable<TestEvent>) {
    silence.heard(event);
    if (event.type === 'test:pass' && event.data.skip !== undefined) {
      skipped.push({
        file: event.data.file ? relative(root, event.data.file) : '',
        test: event.data.name,
        reason: typeof event.data.skip === 'string' ? event.data.skip : 'no reason given',
      });
    }
    if (event.type === 'test:summary' && event.data.file === undefined) {
      // The type declarations forget `failed`, which node does send.
      totals = event.data.counts as Totals & typeof event.data.counts;
      success = event.data.success;
    }
    if (event.type === 'test:diagnostic' && CLOSING_COUNT.test(event.data.message)) continue;
    report.write(event);
  }
  silence.stop();
  report.end();
  await once(report, 'end');

  return {
    name: group.name,
    files: files.length,
    totals,
    skipped,
    success: success && !signal.aborted && !silence.signal.aborted,
    durationMs: performance.now() - started,
  };
}
