import { type Column, formatTable } from '../../cli/table.ts';
import type { CommitRate } from './commit-rate.ts';
import type { HeldWrites } from './held-writes.ts';
import type { Memory } from './memory.ts';
import type { Takeover } from './takeover.ts';
import { type DurabilityResults, type Target, waits } from './targets.ts';
import { VARIANT_NAMES } from './variants.ts';

const right = (...titles: string[]): Column[] => titles.map((title) => ({ title, align: 'right' }));

/** Tables for people: what was measured, and at the end the goals beside it. */
export function report(
  { writes, commits, takeovers }: DurabilityResults,
  memory: Memory | undefined,
  targets: readonly Target[],
): string {
  const [near, ...farther] = writes;
  const far = farther.at(-1);
  return [
    ...writes.map(writesReport),
    ...(near && far ? [waitsReport(near, far)] : []),
    ...(commits ? [commitsReport(commits)] : []),
    ...(takeovers.length > 0 ? [takeoversReport(takeovers)] : []),
    ...(memory ? [memoryReport(memory)] : []),
    targetsReport(targets),
  ].join('\n');
}

function writesReport({ delayMs, roundTrips, variants }: HeldWrites): string {
  const columns = [{ title: '' }, ...right('/s', 'µs proxy', 'agent', 'app', 'redis', 'p50 ms', 'p99 ms')];
  const table = (kind: 'read' | 'write') =>
    formatTable(
      [...columns, ...right('commands', 'errors')],
      VARIANT_NAMES.map((name) => {
        const { throughput, latency, commands, errors } = variants[name];
        const { requestsPerSecond, cpuMicros } = throughput[kind];
        const micros = (process: string) => cpuMicros[process]?.toFixed(0) ?? '–';
        return [
          `${kind}  ${name}`,
          requestsPerSecond.toFixed(0),
          'proxy' in cpuMicros ? micros('proxy') : micros('gateway'),
          micros('agent'),
          micros('app'),
          micros('redis'),
          latency[kind].p50Millis.toFixed(2),
          latency[kind].p99Millis.toFixed(2),
          commands[kind].toFixed(2),
          String(errors),
        ];
      }),
    );
  const { commitMs, replicatedCommitMs } = roundTrips;
  return [
    `Redis ${delayMs === 0 ? 'as near as it can be' : `${delayMs} ms farther`}: ` +
      `one commit takes ${commitMs.toFixed(2)} ms, with a replica ${replicatedCommitMs.toFixed(2)} ms\n`,
    table('write'),
    table('read'),
  ].join('');
}

function waitsReport(near: HeldWrites, far: HeldWrites): string {
  return formatTable(
    [{ title: 'waits for the store, one after the other' }, ...right('per write', 'per read')],
    VARIANT_NAMES.map((name) => [
      name,
      waits(near, far, name, 'write').toFixed(2),
      waits(near, far, name, 'read').toFixed(2),
    ]),
  );
}

function commitsReport({ perSecond }: CommitRate): string {
  const rows = Object.entries(perSecond).map(([name, rate]) => [name, rate.toFixed(0)]);
  return formatTable([{ title: 'commits of 2 KiB' }, ...right('/s')], rows);
}

function takeoversReport(takeovers: readonly Takeover[]): string {
  return formatTable(
    [
      { title: 'takeover' },
      ...right('one commit ms', 'bound read ms', 'first read p50 ms', 'p99 ms', 'commands'),
    ],
    takeovers.map((takeover) => [
      takeover.delayMs === 0 ? 'Redis near' : `${takeover.delayMs} ms farther`,
      takeover.roundTrips.commitMs.toFixed(2),
      takeover.boundP50Millis.toFixed(2),
      takeover.firstP50Millis.toFixed(2),
      takeover.firstP99Millis.toFixed(2),
      takeover.commands.toFixed(2),
    ]),
  );
}

function memoryReport({ sessions, heapBytesPerSession, residentBytesPerSession }: Memory): string {
  const bytes = (value: number) => `${value.toFixed(0)} bytes`;
  return (
    `an agent that owns ${sessions} sessions more: ${bytes(heapBytesPerSession)} of heap each, ` +
    `${bytes(residentBytesPerSession)} of resident memory\n`
  );
}

function targetsReport(targets: readonly Target[]): string {
  return formatTable(
    [{ title: 'target' }, ...right('goal', 'measured'), { title: '' }],
    targets.map(({ what, target, measured, met }) => [what, target, measured, met ? 'met' : 'NOT MET']),
  );
}
