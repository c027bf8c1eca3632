import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runCheck, sourceChecks } from './runner/checks.ts';
import { TEST_GROUPS, type TestGroup } from './runner/groups.ts';
import { type GroupResult, runGroup } from './runner/run-tests.ts';
import { longFiles, sourceFiles } from './runner/source-files.ts';
import { addTotals, noTotals, totalsAsText } from './runner/totals.ts';

const USAGE = `npm test [-- options] [-- files]

  With neither options nor files: type check, lint and format, generated docs, then every test.

  --unit --contract --integration --e2e   only these tests, without the checks before them
  files                                   only these test files
  --help

With CI set in the environment, a skipped test is a failure.
`;

interface Line {
  readonly name: string;
  readonly success: boolean;
  readonly durationMs: number;
  readonly note: string;
}

const root = join(import.meta.dirname, '..');
const started = performance.now();
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    process.stderr.write(`\n${signal}: stopping the tests\n`);
    abort.abort();
  });
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    unit: { type: 'boolean' },
    contract: { type: 'boolean' },
    integration: { type: 'boolean' },
    e2e: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (options.help) {
  process.stdout.write(USAGE);
  process.exit();
}

const chosenFiles = new Set(positionals.map((file) => relative(root, resolve(file))));
const everything = chosenFiles.size === 0 && !TEST_GROUPS.some((group) => options[group.option]);
const lines: Line[] = [];
const results: GroupResult[] = [];

if (everything) await runChecks();
for (const group of TEST_GROUPS) await runTests(group);
process.exitCode = summarise() ? 0 : 1;

async function runChecks(): Promise<void> {
  for (const check of sourceChecks(root)) {
    if (abort.signal.aborted) return;
    heading(check.name);
    const begun = performance.now();
    const success = await runCheck(check, root, abort.signal);
    const note = success ? '' : `mend with: ${check.advice}`;
    lines.push({ name: check.name, success, durationMs: performance.now() - begun, note });
  }
}

async function runTests(group: TestGroup): Promise<void> {
  if (abort.signal.aborted) return;
  const files = sourceFiles(root)
    .filter((file) => file.endsWith('.test.ts') && group.owns(file))
    .filter((file) => everything || options[group.option] || chosenFiles.has(file));
  if (files.length === 0) return;
  heading(`${group.name} tests: ${files.length} ${files.length === 1 ? 'file' : 'files'}`);
  const result = await runGroup(group, files, root, abort.signal);
  const { passed, failed, cancelled, skipped } = result.totals;
  const note = `${passed} passed, ${failed + cancelled} failed, ${skipped} skipped`;
  results.push(result);
  lines.push({ name: `${group.name} tests`, success: result.success, durationMs: result.durationMs, note });
}

/** Prints what ran and what did not; true when all of it is well. */
function summarise(): boolean {
  const totals = noTotals();
  for (const result of results) addTotals(totals, result.totals);
  const skipped = results.flatMap((result) => result.skipped);
  const skipFails = skipped.length > 0 && isSet(process.env.CI);
  const nothingRan = totals.tests === 0;

  heading('summary');
  for (const { name, success, durationMs, note } of lines) {
    print(
      `${success ? '✔' : '✖'} ${name.padEnd(20)} ${(durationMs / 1000).toFixed(1).padStart(6)} s  ${note}`,
    );
  }
  if (skipped.length > 0) {
    print(
      `\n${skipFails ? '✖ SKIPPED, which CI does not allow' : '⚠ SKIPPED, so NOT tested on this machine'}:`,
    );
    for (const { file, test, reason } of skipped) print(`  ${file}: ${test}\n      ${reason}`);
  }
  if (everything)
    for (const { file, lines } of longFiles(root)) print(`\n${file} has ${lines} lines: can it be split?`);
  if (abort.signal.aborted) print('\n✖ stopped before the end');
  if (nothingRan) print('\n✖ no test ran: no test file matches');
  print(`\n${totalsAsText(totals, performance.now() - started)}`);
  return lines.every((line) => line.success) && !skipFails && !nothingRan && !abort.signal.aborted;
}

function heading(text: string): void {
  print(`\n── ${text} ${'─'.repeat(Math.max(0, 90 - text.length))}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
