import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { configSchema } from '../../config/schema.ts';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { sessionKeyDeriver } from '../../protocol/session-key.ts';
import { openStore } from '../../store/open-store.ts';
import type { Commit, SnapshotStore } from '../../store/snapshot-store.ts';
import { median } from '../measure/statistics.ts';
import { BENCH_SECRET } from '../processes/installation.ts';

export const SNAPSHOT_BYTES = 2048;
const SAMPLES = 300;

/** How long operations take that nothing else competes with, milliseconds, medians. */
export interface RoundTrips {
  /** One commit of a 2 KiB snapshot. */
  readonly commitMs: number;
  /** The same, until the replica has it. */
  readonly replicatedCommitMs: number;
}

/** The shortest that a wait for the store can be: what held writes are compared with. */
export async function measureRoundTrips(storeUrl: string): Promise<RoundTrips> {
  const store = await openBenchStore(storeUrl);
  try {
    return {
      commitMs: await timeCommits(store, 0),
      replicatedCommitMs: await timeCommits(store, 1),
    };
  } finally {
    await store.close();
  }
}

export function openBenchStore(url: string): Promise<SnapshotStore> {
  const { store } = configSchema.parse({ secret: BENCH_SECRET, store: { url, commandTimeout: '5s' } });
  const { installation } = deriveSecrets(BENCH_SECRET);
  return openStore(store, { installation, logger: pino({ level: 'silent' }) });
}

/** Keys of sessions that only a benchmark has. */
export const benchKey = sessionKeyDeriver(randomBytes(32), 'bench');

export function benchCommit(seq: number, snapshot: Uint8Array): Commit {
  const idleAt = Date.now() + 3_600_000;
  return { owner: 'app-1', epoch: 1, seq, snapshot, deadlines: { idleAt, absoluteAt: undefined } };
}

async function timeCommits(store: SnapshotStore, replicas: number): Promise<number> {
  const key = benchKey(`round-trip-${replicas}`);
  const snapshot = randomBytes(SNAPSHOT_BYTES);
  const millis: number[] = [];
  for (let seq = 1; seq <= SAMPLES; seq++) {
    const sent = performance.now();
    await store.commit(key, { ...benchCommit(seq, snapshot), ...(replicas > 0 && { replicas }) });
    millis.push(performance.now() - sent);
  }
  return median(millis);
}
