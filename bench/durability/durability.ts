import { arch, cpus, release } from 'node:os';
import type { BenchmarkOptions } from '../lanes.ts';
import { measureCommitRate } from './commit-rate.ts';
import { measureDrain } from './drain.ts';
import { measureHeldWrites } from './held-writes.ts';
import { measureMemory } from './memory.ts';
import { report } from './report.ts';
import { sizesOf } from './sizes.ts';
import { measureTakeover } from './takeover.ts';
import { judge } from './targets.ts';

/** Gateways with a lease at the agent that is drained. */
const DRAINING_GATEWAYS = [1, 2];

export const PARTS = ['writes', 'commits', 'takeover', 'drain', 'memory'] as const;
export type Part = (typeof PARTS)[number];

/**
 * What the promises cost: held writes beside those that are not, and beside sessions that are kept in Redis at every request; commits;
 * takeovers; draining; memory. Every process is a real one, and so is Redis.
 */
export async function benchmarkDurability(options: BenchmarkOptions): Promise<void> {
  const sizes = sizesOf(options);
  const wanted = (part: Part) => options.parts.length === 0 || options.parts.includes(part);
  const inTurn = async <T, R>(part: Part, values: readonly T[], measure: (value: T) => Promise<R>) => {
    const results: R[] = [];
    if (wanted(part)) for (const value of values) results.push(await measure(value));
    return results;
  };
  const results = {
    writes: await inTurn('writes', sizes.delays, (delayMs) => measureHeldWrites(delayMs, sizes)),
    commits: wanted('commits') ? await measureCommitRate(sizes) : undefined,
    takeovers: await inTurn('takeover', sizes.delays, (delayMs) => measureTakeover(delayMs, sizes)),
    drains: await inTurn('drain', DRAINING_GATEWAYS, (gateways) => measureDrain(gateways, sizes)),
  };
  const memory = wanted('memory') ? await measureMemory(sizes) : undefined;
  const targets = judge(results);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ sizes, machine: machine(), results: { ...results, memory }, targets })}\n`
      : report(results, memory, targets),
  );
}

function machine() {
  const [cpu] = cpus();
  return { cpu: cpu?.model, cores: cpus().length, arch: arch(), kernel: release(), node: process.version };
}
