import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { LineageWatch } from '../lineage-watch.ts';
import { Settling } from '../settling.ts';
import type {
  AdoptRequest,
  AdoptResult,
  AnnounceResult,
  BackendAnnouncement,
  BackendStateChange,
  Commit,
  CommitResult,
  EndRequest,
  EndResult,
  Fenced,
  RecordSummary,
  ReleaseRequest,
  ReleaseResult,
  ReplaceRequest,
  ReplaceResult,
  SharedBackendState,
  SnapshotStore,
  StoredRecord,
  StoreWarning,
  TakenWatch,
  TakenWatcher,
  TouchRequest,
  TouchResult,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import { BackendRegistry } from './backend-registry.ts';
import { ClusterDoubt } from './cluster-doubt.ts';
import { RedisConnection } from './connection.ts';
import { LINEAGE_KEY, RedisLineage } from './lineage.ts';
import { ClusterTakenWatch, watchServer } from './redis-taken-watch.ts';
import type { RedisTarget } from './redis-url.ts';
import { replaceInTwoSteps } from './replace-in-two-steps.ts';
import { ReplicatedWrites } from './replicated-writes.ts';
import type { Reply } from './replies.ts';
import type { ScriptName } from './scripts.ts';
import { inspectServers } from './server-settings.ts';

/** How long {@link RedisSnapshotStore.open} waits for the first attempt to connect. */
const FIRST_ATTEMPT_MS = 2_000;

/** The braces make Redis Cluster hash the session key alone; whatever else a record may need can share its slot. */
const recordKey = (key: SessionKey) => `stickshift:{${key}}`;

export interface RedisStoreOptions {
  readonly target: RedisTarget;
  /** How long one operation may take, milliseconds. */
  readonly commandTimeout: number;
  /** How long owners have to write again what Redis may have lost, milliseconds; 0 switches it off. */
  readonly settle: number;
  /** Fingerprint of the installation that the store is of. */
  readonly installation: string;
  /** How many replicas commits will wait for: {@link RedisSnapshotStore.check} warns when Redis has fewer. Default 0. */
  readonly replicas?: number;
  readonly logger: Logger;
}

/** Snapshots in Redis 7.0 or later: one server, one that Sentinel appoints, or a cluster. See `docs/store.md`. */
export class RedisSnapshotStore implements SnapshotStore {
  readonly #connection: RedisConnection;
  readonly #backends: BackendRegistry;
  readonly #settling: Settling;
  readonly #watch: LineageWatch;
  /** Never in doubt without a cluster. */
  readonly #doubt: ClusterDoubt;
  /** By number of replicas: those who wait for few are not held up by those who wait for many. */
  readonly #replicated = new Map<number, ReplicatedWrites>();
  readonly #openForReplicas: () => RedisConnection;
  readonly #takenWatches = new Set<TakenWatch>();
  readonly #options: RedisStoreOptions;

  private constructor(options: RedisStoreOptions) {
    const { target, commandTimeout, settle, installation, logger } = options;
    this.#settling = new Settling(settle);
    this.#options = options;
    const introduction = new RedisLineage(this.#settling, installation, target.label);
    this.#doubt = new ClusterDoubt(introduction, logger);
    const connection = new RedisConnection({ target, commandTimeout, introduction: this.#doubt, logger });
    const reintroduce = () => connection.reintroduce();
    if (connection.cluster) this.#doubt.watch(connection.cluster, reintroduce);
    this.#connection = connection;
    this.#backends = new BackendRegistry(connection, logger);
    this.#watch = new LineageWatch(reintroduce, settle, logger);
    const purpose = logger.child({ connection: 'replicated writes' });
    this.#openForReplicas = () =>
      new RedisConnection({ target, commandTimeout, introduction, logger: purpose });
  }

  /** Returns connected, or after a failed attempt; then it goes on trying, and operations reject until it succeeds. */
  static async open(options: RedisStoreOptions): Promise<RedisSnapshotStore> {
    const store = new RedisSnapshotStore(options);
    await store.#connection.firstAttempt(FIRST_ATTEMPT_MS);
    return store;
  }

  /** Calls `listener` now if there is a connection, and after every later connect. */
  onConnect(listener: () => void): void {
    this.#connection.onConnect(listener);
  }

  async lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    const reply = await this.#connection.run('lookup', [recordKey(key)], []);
    return reply.choose({ found: () => reply.summary(), absent: () => undefined });
  }

  async read(key: SessionKey): Promise<StoredRecord | undefined> {
    const reply = await this.#connection.run('read', [recordKey(key)], []);
    return reply.choose({ found: () => reply.record(), absent: () => undefined });
  }

  async commit(key: SessionKey, { owner, epoch, replicas, ...change }: Commit): Promise<CommitResult> {
    const args = [...claim(owner, epoch), ...snapshotArgs(change)];
    const reply = await this.#write('commit', [recordKey(key)], args, replicas);
    return reply.choose<CommitResult>({
      committed: () => ({ outcome: 'committed' }),
      fenced: () => fenced(reply),
      stale: () => ({ outcome: 'stale', seq: reply.whole(1) }),
      ended: () => ({ outcome: 'ended' }),
    });
  }

  async touch(key: SessionKey, { owner, epoch, deadlines }: TouchRequest): Promise<TouchResult> {
    const args = [...claim(owner, epoch), whole(deadlines.idleAt, 'idleAt')];
    const reply = await this.#connection.run('touch', [recordKey(key)], args);
    return reply.choose<TouchResult>({
      touched: () => ({ outcome: 'touched' }),
      fenced: () => fenced(reply),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async release(key: SessionKey, { owner, epoch, final, replicas }: ReleaseRequest): Promise<ReleaseResult> {
    const args = final === undefined ? claim(owner, epoch) : [...claim(owner, epoch), ...snapshotArgs(final)];
    const reply = await this.#write('release', [recordKey(key)], args, replicas);
    return reply.choose<ReleaseResult>({
      released: () => ({ outcome: 'released' }),
      fenced: () => fenced(reply),
      stale: () => ({ outcome: 'stale', seq: reply.whole(1) }),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async adopt(key: SessionKey, { owner, ifEpoch }: AdoptRequest): Promise<AdoptResult> {
    const reply = await this.#connection.run('adopt', [recordKey(key)], [owner, whole(ifEpoch, 'ifEpoch')]);
    return reply.choose<AdoptResult>({
      adopted: () => ({ outcome: 'adopted', record: reply.record(), taken: reply.taken }),
      moved: () => ({ outcome: 'moved', record: reply.summary() }),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async end(key: SessionKey, { owner, epoch, until, stood, replicas }: EndRequest): Promise<EndResult> {
    const args = [...claim(owner, epoch), whole(until, 'until'), stood ? '1' : ''];
    const reply = await this.#write('end', [recordKey(key)], args, replicas);
    return reply.choose<EndResult>({ ended: () => ({ outcome: 'ended' }), fenced: () => fenced(reply) });
  }

  async replace(key: SessionKey, change: ReplaceRequest): Promise<ReplaceResult> {
    if (this.#connection.cluster) return replaceInTwoSteps(this, key, change);
    const { owner, epoch, until, successor, commit } = change;
    const keys = [recordKey(key), recordKey(successor)];
    const newEpoch = whole(commit.epoch, 'epoch');
    const args = [...claim(owner, epoch), whole(until, 'until'), newEpoch, ...snapshotArgs(commit)];
    const reply = await this.#write('replace', keys, args, commit.replicas);
    return reply.choose<ReplaceResult>({
      replaced: () => ({ outcome: 'replaced' }),
      fenced: () => fenced(reply),
      stale: () => ({ outcome: 'stale', seq: reply.whole(1) }),
      ended: () => ({ outcome: 'ended' }),
    });
  }

  announce(backend: BackendAnnouncement, ttlMs: number): Promise<AnnounceResult> {
    return this.#backends.announce(backend, ttlMs);
  }

  withdraw(backend: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): Promise<void> {
    return this.#backends.withdraw(backend);
  }

  backends(): Promise<BackendAnnouncement[]> {
    return this.#backends.announced();
  }

  watchTaken(owner: string, watcher: TakenWatcher): TakenWatch {
    const { cluster } = this.#connection;
    const { target, commandTimeout, logger } = this.#options;
    const options = { owner, watcher, identities: () => this.#connection.identities, logger };
    const watch = cluster
      ? new ClusterTakenWatch(cluster, options)
      : watchServer(target, commandTimeout, options);
    this.#takenWatches.add(watch);
    return watch;
  }

  setBackendState(change: BackendStateChange): Promise<SharedBackendState> {
    return this.#backends.setState(change);
  }

  backendStates(application: string): Promise<SharedBackendState[]> {
    return this.#backends.states(application);
  }

  get settlingMs(): number {
    const { remainingMs, settleMs } = this.#settling;
    return this.#doubt.doubtful ? Math.max(remainingMs, settleMs) : remainingMs;
  }

  onSettling(listener: () => void): () => void {
    return this.#settling.onBegin(listener);
  }

  async prolongSettling(ms: number): Promise<void> {
    if (this.#settling.settleMs === 0) return;
    this.#settling.prolong(ms);
    await this.#connection.run('prolong-settling', [LINEAGE_KEY], [whole(Math.ceil(ms), 'ms')]);
  }

  async check(): Promise<StoreWarning[]> {
    await this.#connection.ask('check', (client) => client.ping());
    return this.#connection.ask('check', (client) => inspectServers(client, this.#options.replicas ?? 0));
  }

  async close(): Promise<void> {
    this.#watch.stop();
    for (const watch of this.#takenWatches) watch.stop();
    const writers = [...this.#replicated.values()];
    await Promise.all([this.#connection, ...writers].map((each) => each.close()));
  }

  async #write(
    script: ScriptName,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    replicas = 0,
  ): Promise<Reply> {
    if (replicas === 0) return this.#connection.run(script, keys, args);
    if (this.#connection.cluster) {
      const why = 'durability `replica` is not available in a Redis Cluster';
      throw new StickshiftError('STORE_REFUSED', `${script}: ${why}`);
    }
    // One connection says for both that the store is away.
    this.#connection.assertReady(script);
    let writes = this.#replicated.get(replicas);
    if (writes === undefined) {
      writes = new ReplicatedWrites(this.#openForReplicas, replicas, this.#options.commandTimeout);
      this.#replicated.set(replicas, writes);
    }
    return writes.run(script, keys, args);
  }
}

function fenced(reply: Reply): Fenced {
  return { outcome: 'fenced', owner: reply.text(1), epoch: reply.whole(2) };
}

function whole(value: number, what: string): string {
  return String(wholeNumber(value, what));
}

function claim(owner: string, epoch: number): string[] {
  return [owner, whole(epoch, 'epoch')];
}

function snapshotArgs({
  seq,
  snapshot,
  deadlines,
}: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'>): (string | Buffer)[] {
  const { idleAt, absoluteAt } = deadlines;
  return [
    whole(seq, 'seq'),
    whole(idleAt, 'idleAt'),
    absoluteAt === undefined ? '' : whole(absoluteAt, 'absoluteAt'),
    // ioredis would send a Uint8Array that is no Buffer as "1,2,3".
    Buffer.from(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength),
  ];
}
