import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { median } from '../measure/statistics.ts';
import { type BenchRedis, startRedis } from '../processes/redis.ts';
import { monitorRedis } from '../processes/redis-monitor.ts';
import { benchCommit, benchKey, openBenchStore, SNAPSHOT_BYTES } from './round-trips.ts';
import type { Sizes } from './sizes.ts';

/** Commits under way at once, as an agent has it by default. */
const CONCURRENCY = 32;
const KEYS = 1024;
const TURN_SECONDS = 0.5;
/** Values that are found again among the arguments of the script. */
const MARK = { key: 'mark', seq: 987_654_321, snapshot: 'S'.repeat(SNAPSHOT_BYTES) };

export interface CommitRate {
  /** Commits per second, medians. */
  readonly perSecond: Readonly<Record<Sender, number>>;
  /** The store's, as a share of what the faster of the plain ones reached in the same turn, median. */
  readonly share: number;
  /** What the medians are of. */
  readonly turns: readonly Readonly<Record<Sender, number>>[];
}

/** `store`: the adapter that agents use; the others: the same script with the same arguments, straight through ioredis. */
const SENDERS = ['store', 'evalsha', 'evalsha-pipelined'] as const;
type Sender = (typeof SENDERS)[number];
type Send = (key: string, seq: number) => Promise<void>;

/** What the store's adapter leaves of the speed of the library it is built on. */
export async function measureCommitRate({ rounds, seconds }: Sizes): Promise<CommitRate> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.use(await startRedis(0));
  const store = await openBenchStore(redis.url);
  cleanup.defer(() => store.close());
  const snapshot = randomBytes(SNAPSHOT_BYTES);
  const template = await scriptTemplate(redis);
  const plain = (options: { enableAutoPipelining: boolean }): Send => {
    const client = new Redis(redis.url, options);
    cleanup.defer(() => client.disconnect());
    return async (key, seq) => {
      const [script = '', keys = '', ...rest] = template(key, seq, snapshot);
      const [outcome] = (await client.evalsha(script, Number(keys), ...rest)) as unknown[];
      if (outcome !== 'committed') throw new Error(`the script answered ${outcome}`);
    };
  };
  const senders: Record<Sender, Send> = {
    store: async (key, seq) => {
      const { outcome } = await store.commit(benchKey(key), benchCommit(seq, snapshot));
      if (outcome !== 'committed') throw new Error(`the store answered ${outcome}`);
    },
    evalsha: plain({ enableAutoPipelining: false }),
    'evalsha-pipelined': plain({ enableAutoPipelining: true }),
  };

  const samples: Record<Sender, number>[] = [];
  // Many short turns: what else the machine does then meets all senders of a round alike.
  const turns = Math.ceil((rounds * seconds) / TURN_SECONDS);
  for (let turn = 0; turn <= turns; turn++) {
    const first = turn % SENDERS.length;
    const rates: Record<Sender, number> = { store: 0, evalsha: 0, 'evalsha-pipelined': 0 };
    for (const sender of [...SENDERS.slice(first), ...SENDERS.slice(0, first)]) {
      rates[sender] = await commitsPerSecond(senders[sender], `${sender}-${turn}`);
    }
    // The first one warms up.
    if (turn > 0) samples.push(rates);
  }
  const of = (sender: Sender) => median(samples.map((rates) => rates[sender]));
  const perSecond = {
    store: of('store'),
    evalsha: of('evalsha'),
    'evalsha-pipelined': of('evalsha-pipelined'),
  };
  const faster = perSecond.evalsha > perSecond['evalsha-pipelined'] ? 'evalsha' : 'evalsha-pipelined';
  return {
    perSecond,
    share: median(samples.map((rates) => rates.store / rates[faster])),
    turns: samples,
  };
}

/** Overwrites the same sessions again and again: no session has two commits under way. */
async function commitsPerSecond(send: Send, prefix: string): Promise<number> {
  const started = performance.now();
  const end = started + TURN_SECONDS * 1000;
  let commits = 0;
  const worker = async (_: unknown, index: number) => {
    for (let seq = 1; ; seq++) {
      for (let key = index; key < KEYS; key += CONCURRENCY) {
        if (performance.now() >= end) return;
        await send(`${prefix}-${key}`, seq);
        commits++;
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return (1000 * commits) / (performance.now() - started);
}

/**
 * Watches the adapter send a commit, and returns what makes the same arguments for another session, seq and snapshot. So the plain
 * senders run the very script that the adapter runs, whatever its arguments come to be.
 */
async function scriptTemplate(
  redis: BenchRedis,
): Promise<(key: string, seq: number, snapshot: Buffer) => (string | Buffer)[]> {
  const store = await openBenchStore(redis.url);
  const seen = Promise.withResolvers<readonly string[]>();
  using _monitor = await monitorRedis(redis.client, ({ name, args }) => {
    if (name === 'evalsha' && args.includes(String(MARK.seq))) seen.resolve(args);
  });
  try {
    const markKey = benchKey(MARK.key);
    const send = (seq: number) => store.commit(markKey, benchCommit(seq, Buffer.from(MARK.snapshot)));
    // A script's text may be sent the first time, and its hash from then on.
    await send(1);
    await send(MARK.seq);
    const marked = await seen.promise;
    const keyAt = marked.findIndex((arg) => arg.includes(markKey));
    const seqAt = marked.indexOf(String(MARK.seq));
    const snapshotAt = marked.indexOf(MARK.snapshot);
    const redisKey = (key: string) => marked[keyAt]?.replace(markKey, benchKey(key)) ?? '';
    return (key, seq, snapshot) => {
      const args: (string | Buffer)[] = [...marked];
      args[keyAt] = redisKey(key);
      args[seqAt] = String(seq);
      args[snapshotAt] = snapshot;
      return args;
    };
  } finally {
    await store.close();
  }
}
