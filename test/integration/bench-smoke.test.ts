import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { HeldWrites } from '../../bench/durability/held-writes.ts';
import type { DurabilityResults, Target } from '../../bench/durability/targets.ts';
import { FIGURES, type Medians } from '../../bench/proxies/figures.ts';
import type { ProxyReport } from '../../bench/proxies/proxies.ts';
import type { ProxyName } from '../../bench/proxies/proxy.ts';
import { localRedisRequirement } from '../services/redis.ts';

const RUN = join(import.meta.dirname, '..', '..', 'bench', 'run.ts');

/** Runs a benchmark as short as can be. What it tells is judged here, never how fast it was. */
async function smoke(...args: string[]) {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, ...args, '--smoke', '--json']);
  return JSON.parse(stdout);
}

test('the benchmark of the full lane runs, and every request it sends is answered', async () => {
  const { results } = await smoke('lanes');
  assert.deepEqual(Object.keys(results), ['http-proxy-3', 'full lane', 'fast lane']);
  for (const [name, { requestsPerSecond, errors }] of Object.entries<Record<string, number>>(results)) {
    assert.ok((requestsPerSecond ?? 0) > 0, `${name} answered nothing`);
    assert.equal(errors, 0, name);
  }
});

test('the benchmark of proxies has every figure of all that are installed, says who is left out, and stores it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-bench-smoke-'));
  t.after(() => rm(directory, { recursive: true }));
  const stored = join(directory, 'figures.json');
  const report: ProxyReport = await smoke('proxies', '--save', stored);
  assert.deepEqual(report.errors, {});
  const { medians, leftOut } = report;
  assertMeasured(medians, leftOut, 'stickshift-full');
  assertMeasured(medians, leftOut, 'http-proxy-3');
  for (const name of ['haproxy', 'nginx', 'caddy', 'stickshift-fast'] as const) {
    if (!leftOut.some((line) => line.startsWith(`${name}: `))) assertMeasured(medians, leftOut, name);
    else assert.equal(report.versions[name], undefined);
  }
  assert.deepEqual(JSON.parse(await readFile(stored, 'utf8')).medians, medians);
});

/** But for the parts that it is left out of. */
function assertMeasured(medians: Medians, leftOut: readonly string[], name: ProxyName): void {
  for (const [figure, { part }] of Object.entries(FIGURES)) {
    const expected = !leftOut.some(
      (line) => line.startsWith(`${name}, ${part}: `) || line.startsWith(`${part}: `),
    );
    const value = medians[figure]?.[name];
    assert.equal(Number.isFinite(value), expected, `${name}, ${figure}: ${value}`);
  }
}

describe('the benchmark of durability', localRedisRequirement(), () => {
  test('sends every variant the same requests, all of which are answered, and counts what they cost the store', async () => {
    const { sizes, results, targets } = await smoke('durability', '--only', 'writes');
    const [{ variants }]: [HeldWrites] = results.writes;
    for (const [name, { throughput, latency, errors }] of Object.entries(variants)) {
      assert.equal(errors, 0, name);
      assert.ok(throughput.write.requestsPerSecond > 0, name);
      assert.ok(latency.read.p50Millis > 0, name);
    }
    const { replica, ...others } = variants;
    const commands = Object.entries(others).map(([name, { commands }]) => [name, commands]);
    assert.deepEqual(Object.fromEntries(commands), {
      'no-agent': { read: 0, write: 0 },
      async: { read: 0, write: 1 },
      ack: { read: 0, write: 1 },
      'connect-redis': { read: 2, write: 2 },
      'connect-redis-proxied': { read: 2, write: 2 },
    });
    assert.equal(replica.commandNames.write.sessions.wait, sizes.counted);
    const [reads] = targets as Target[];
    assert.equal(reads?.met, true, 'a read costs no store command');
  });

  test('takes sessions over, drains them, and weighs them', async () => {
    const { results, targets } = await smoke(
      'durability',
      '--only',
      'takeover',
      '--only',
      'drain',
      '--only',
      'memory',
    );
    const { takeovers, drains, memory } = results as DurabilityResults & { memory: object };
    assert.deepEqual(
      takeovers.map(({ commands }) => commands),
      [2],
    );
    assert.deepEqual(
      drains.map(({ gateways, sessions }) => [gateways, sessions]),
      [
        [1, 40],
        [2, 40],
      ],
    );
    assert.ok('heapBytesPerSession' in memory);
    assert.equal((targets as Target[]).length, 3);
  });

  test('compares the adapter with the script that it runs itself', async () => {
    const { results } = await smoke('durability', '--only', 'commits');
    const { commits } = results as DurabilityResults;
    assert.ok(Object.values(commits?.perSecond ?? {}).every((rate) => rate > 0));
    assert.ok((commits?.share ?? 0) > 0);
  });
});
