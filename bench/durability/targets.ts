import type { Kind } from '../processes/session-load.ts';
import type { CommitRate } from './commit-rate.ts';
import type { Drain } from './drain.ts';
import type { HeldWrites } from './held-writes.ts';
import type { Takeover } from './takeover.ts';
import type { VariantName } from './variants.ts';

export interface DurabilityResults {
  readonly writes: readonly HeldWrites[];
  readonly commits: CommitRate | undefined;
  readonly takeovers: readonly Takeover[];
  readonly drains: readonly Drain[];
}

export interface Target {
  readonly what: string;
  /** As people read it. */
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

const KEPT = ['async', 'ack', 'replica'] as const satisfies readonly VariantName[];
const SHARE = 0.8;
const TAKEOVER_TRIPS = 2;
const DRAIN_MS = 5_000;

/** What was set as a goal, beside what was measured. What was not measured is left out. */
export function judge({ writes, commits, takeovers, drains }: DurabilityResults): Target[] {
  const targets: Target[] = [];
  if (writes.length > 0) {
    const most = Math.max(
      ...writes.flatMap(({ variants }) => KEPT.map((name) => variants[name].commands.read)),
    );
    targets.push({
      what: 'store commands per read',
      target: '0',
      measured: number(most, 2),
      met: most === 0,
    });
  }
  const [near, ...farther] = writes;
  const far = farther.at(-1);
  if (near && far) {
    const trips = waits(near, far, 'ack', 'write') - waits(near, far, 'async', 'write');
    targets.push({
      what: 'store round trips of a held write over async',
      target: '≤ 1',
      measured: number(trips, 2),
      // Round trips are whole; what is beyond is noise of the measurement.
      met: Math.round(trips) <= 1,
    });
  }
  if (commits) {
    targets.push({
      what: 'commits per second, share of plain EVALSHA',
      target: `≥ ${SHARE}`,
      measured: number(commits.share, 2),
      met: commits.share >= SHARE,
    });
  }
  if (takeovers.length > 0) {
    const most = Math.max(...takeovers.map(({ commands }) => commands));
    targets.push({
      what: 'store round trips of a takeover',
      target: `≤ ${TAKEOVER_TRIPS}`,
      measured: number(most, 2),
      met: most <= TAKEOVER_TRIPS,
    });
  }
  for (const { gateways, sessions, tookMs } of drains) {
    targets.push({
      what: `draining ${sessions} sessions, ${gateways} gateway${gateways > 1 ? 's' : ''}`,
      target: `< ${DRAIN_MS / 1000} s`,
      measured: `${number(tookMs / 1000, 2)} s`,
      met: tookMs < DRAIN_MS,
    });
  }
  return targets;
}

/**
 * How often a request waits for the store, one wait after the other: by so many times the longer round trip is its answer later.
 * Commands that go out together count once. Of the quietest rounds, for what else the machine does only ever adds.
 */
export function waits(near: HeldWrites, far: HeldWrites, name: VariantName, kind: Kind): number {
  const quietest = ({ variants }: HeldWrites) =>
    Math.min(...variants[name].rounds.map(({ latency }) => latency[kind].p50Millis));
  return (quietest(far) - quietest(near)) / (far.roundTrips.commitMs - near.roundTrips.commitMs);
}

function number(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
