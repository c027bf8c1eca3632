import type { Logger } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
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
  TouchRequest,
  TouchResult,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import { BackendRegistry } from './backend-registry.ts';
import { RedisConnection } from './connection.ts';
import type { RedisTarget } from './redis-url.ts';
import type { Reply } from './replies.ts';
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
  readonly logger: Logger;
}

/** Snapshots in Redis 7.0 or later: one server, one that Sentinel appoints, or a cluster. See `docs/store.md`. */
export class RedisSnapshotStore implements SnapshotStore {
  readonly #connection: RedisConnection;
  readonly #backends: BackendRegistry;
  readonly #settling: Settling;

  private constructor(options: RedisStoreOptions) {
    this.#settling = new Settling(options.settle);
    this.#connection = new RedisConnection(options.target, options.commandTimeout, options.logger);
    this.#backends = new BackendRegistry(this.#connection, options.logger);
  }

  /** Returns connected, or after a failed attempt; then it goes on trying, and operations reject until it succeeds. */
  static async open(options: RedisStoreOptions): Promise<RedisSnapshotStore> {
    const store = new RedisSnapshotStore(options);
    await store.#connection.firstAttempt(FIRST_ATTEMPT_MS);
    return store;
  }

  /** Calls `listener` now if there is a connection, and after every later connect. */
  onConnect(listener: () => void): void {
    this.#connection.client.on('ready', listener);
    if (this.#connection.ready) listener();
  }

  async lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    const reply = await this.#connection.run('lookup', [recordKey(key)], []);
    return reply.choose({ found: () => reply.summary(), absent: () => undefined });
  }

  async read(key: SessionKey): Promise<StoredRecord | undefined> {
    const reply = await this.#connection.run('read', [recordKey(key)], []);
    return reply.choose({ found: () => reply.record(), absent: () => undefined });
  }

  async commit(key: SessionKey, { owner, epoch, ...change }: Commit): Promise<CommitResult> {
    const args = [...claim(owner, epoch), ...snapshotArgs(change)];
    const reply = await this.#connection.run('commit', [recordKey(key)], args);
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

  async release(key: SessionKey, { owner, epoch, final }: ReleaseRequest): Promise<ReleaseResult> {
    const args = final === undefined ? claim(owner, epoch) : [...claim(owner, epoch), ...snapshotArgs(final)];
    const reply = await this.#connection.run('release', [recordKey(key)], args);
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
      adopted: () => ({ outcome: 'adopted', record: reply.record() }),
      moved: () => ({ outcome: 'moved', record: reply.summary() }),
      ended: () => ({ outcome: 'ended' }),
      absent: () => ({ outcome: 'absent' }),
    });
  }

  async end(key: SessionKey, { owner, epoch, until, stood }: EndRequest): Promise<EndResult> {
    const args = [...claim(owner, epoch), whole(until, 'until'), stood ? '1' : ''];
    const reply = await this.#connection.run('end', [recordKey(key)], args);
    return reply.choose<EndResult>({ ended: () => ({ outcome: 'ended' }), fenced: () => fenced(reply) });
  }

  async replace(key: SessionKey, change: ReplaceRequest): Promise<ReplaceResult> {
    const { owner, epoch, until, successor, commit } = change;
    const keys = [recordKey(key), recordKey(successor)];
    const newEpoch = whole(commit.epoch, 'epoch');
    const args = [...claim(owner, epoch), whole(until, 'until'), newEpoch, ...snapshotArgs(commit)];
    const reply = await this.#connection.run('replace', keys, args);
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

  setBackendState(change: BackendStateChange): Promise<SharedBackendState> {
    return this.#backends.setState(change);
  }

  backendStates(application: string): Promise<SharedBackendState[]> {
    return this.#backends.states(application);
  }

  get settlingMs(): number {
    return this.#settling.remainingMs;
  }

  onSettling(listener: () => void): () => void {
    return this.#settling.onBegin(listener);
  }

  async prolongSettling(ms: number): Promise<void> {
    this.#settling.prolong(ms);
  }

  async check(): Promise<StoreWarning[]> {
    await this.#connection.ask('check', (client) => client.ping());
    return this.#connection.ask('check', inspectServers);
  }

  close(): Promise<void> {
    return this.#connection.close();
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
