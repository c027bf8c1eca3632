import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ChaosReport } from '../../chaos/report/report.ts';
import { phpRequired } from '../services/php.ts';
import { localRedisRequirement } from '../services/redis.ts';

const RUN = join(import.meta.dirname, '..', '..', 'chaos', 'run.ts');
const CLIENTS = '16';

// By default this signal ends a process without its `exit` event, and the runner sends it to a test that is stopped.
process.once('SIGTERM', () => process.exit(143));

/** Runs what `npm run chaos` runs; its progress and, when something is wrong, its report can be read in the test's output. */
async function chaos(...options: readonly string[]): Promise<{ status: number; report: ChaosReport }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; report: ChaosReport }>();
  const args = [RUN, '--json', '--clients', CLIENTS, ...options];
  const run = execFile(process.execPath, args, { maxBuffer: 64 * 1_048_576 }, (error, stdout, stderr) => {
    const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
    if (status !== 0 && status !== 1)
      reject(new Error(`chaos ${options.join(' ')}: ${error?.message}\n${stderr}`));
    else resolve({ status, report: JSON.parse(stdout) as ChaosReport });
  });
  // A runner that stops this test must not leave an installation behind.
  const stop = () => run.kill('SIGTERM');
  process.once('exit', stop);
  return promise.finally(() => process.off('exit', stop));
}

function assertNothingBroken({ status, report }: Awaited<ReturnType<typeof chaos>>): void {
  const { seed, violations, problems, directory } = report;
  const found = [...violations.flatMap(({ message, timeline }) => [message, ...timeline]), ...problems];
  assert.deepEqual(found, [], `seed ${seed}; logs and history: ${directory}`);
  assert.equal(status, 0);
  assert.deepEqual([report.lost, report.resurrected, report.diverged, report.unanswered], [0, 0, 0, 0]);
}

describe('chaos', { skip: localRedisRequirement().skip || phpRequired().skip }, () => {
  test('two minutes of every fault break no promise', { timeout: 600_000 }, async () => {
    const run = await chaos('--minutes', '2');
    assertNothingBroken(run);
    assert.ok(run.report.outcomes.ok > 1_000, 'the clients were served');
    assert.ok(Object.keys(run.report.faults).length > 5, 'many kinds of faults happened');
  });

  test('nodes that die behind a slow link to the store take nothing acknowledged with them', async () => {
    assertNothingBroken(await chaos('--drill', 'no-hold', '--minutes', '0.25'));
  });

  test('an owner that slept while others took over overwrites nothing when it wakes', async () => {
    assertNothingBroken(await chaos('--drill', 'no-fencing', '--minutes', '0.25'));
  });
});

describe('the same drills find losses', { skip: localRedisRequirement().skip || phpRequired().skip }, () => {
  for (const [control, what] of [
    ['async', 'when answers do not wait for their commits'],
    ['no-hold', 'when answers are not held'],
    ['no-fencing', 'when the store takes commits of former owners'],
  ] as const) {
    test(what, async () => {
      const { status, report } = await chaos('--control', control, '--minutes', '0.25');
      assert.equal(status, 1);
      assert.ok(report.lost + report.diverged > 0, `${report.operations} operations, ${report.lost} lost`);
      assert.ok(report.violations.length > 0);
      if (report.directory !== undefined) await rm(report.directory, { recursive: true });
    });
  }
});
