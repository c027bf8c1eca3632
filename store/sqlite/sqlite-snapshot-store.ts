import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { foreignStore } from '../installation.ts';
import { LineageWatch } from '../lineage-watch.ts';
import {
  commitRefusal,
  endRefusal,
  releaseRefusal,
  replaceStep,
  tombstoneOf,
  touchRefusal,
} from '../record-rules.ts';
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
import { BackendTable } from './backend-table.ts';
import { DatabaseFile } from './database-file.ts';
import { MetaTable } from './meta-table.ts';
import { Purge } from './purge.ts';
import { RecordTable } from './record-table.ts';
import { SqliteTakenWatch } from './sqlite-taken-watch.ts';
import { TakenTable } from './taken-table.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  /** How long one operation may wait for the other processes, milliseconds. */
  readonly commandTimeout: number;
  /** How long owners have to write again what a replaced file lacks, milliseconds; 0 switches it off. */
  readonly settle: number;
  /** Fingerprint of the installation that the file is of. */
  readonly installation: string;
  readonly logger: Logger;
}

/** An open file and what works on it; another file gets another one of these. */
interface OpenFile {
  readonly file: DatabaseFile;
  readonly records: RecordTable;
  readonly taken: TakenTable;
  readonly backends: BackendTable;
  readonly meta: MetaTable;
  readonly purge: Purge;
}

/** Snapshots in one SQLite file, for gateways and agents on one machine. See `docs/store.md`. */
export class SqliteSnapshotStore implements SnapshotStore {
  readonly #options: SqliteStoreOptions;
  readonly #settling: Settling;
  readonly #watch: LineageWatch;
  readonly #takenWatches = new Set<TakenWatch>();
  #open: OpenFile;
  /** Why nothing can be done with the file that is there now. */
  #unusable: StickshiftError | undefined;
  #closed = false;

  private constructor(options: SqliteStoreOptions, open: OpenFile) {
    this.#options = options;
    this.#open = open;
    this.#settling = new Settling(options.settle);
    this.#watch = new LineageWatch(() => this.#look(), options.settle, options.logger);
  }

  /**
   * @throws StickshiftError `CONFIG_INVALID` without a path; `STORE_REFUSED` when the file cannot be opened;
   *   `STORE_INVALID` when it is no database, another program's, or a newer Stickshift's; `STORE_FOREIGN` when it is another
   *   installation's
   */
  static async open(options: SqliteStoreOptions): Promise<SqliteSnapshotStore> {
    if (options.path === '' || options.path.startsWith(':')) {
      // SQLite would keep such a database to this process alone, and nothing would ever be handed over.
      throw new StickshiftError('CONFIG_INVALID', 'store.url: expected the path of a file after sqlite:');
    }
    const store = new SqliteSnapshotStore(options, await openFile(options));
    try {
      await store.#introduce(store.#open, false);
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    return this.#read('lookup', ({ records }) => records.summary(key, Date.now()));
  }

  read(key: SessionKey): Promise<StoredRecord | undefined> {
    return this.#read('read', ({ records }) => records.record(key, Date.now()));
  }

  commit(key: SessionKey, { replicas, ...commit }: Commit): Promise<CommitResult> {
    return this.#write('commit', replicas, ({ records, taken }) => {
      const now = Date.now();
      const record = records.summary(key, now);
      const refusal = commitRefusal(record, commit);
      if (refusal !== undefined) return refusal;
      taken.note(key, record, commit.owner);
      records.put(key, 'active', commit, now);
      return { outcome: 'committed' };
    });
  }

  touch(key: SessionKey, touch: TouchRequest): Promise<TouchResult> {
    return this.#write('touch', 0, ({ records }) => {
      const record = records.summary(key, Date.now());
      const refusal = touchRefusal(record, touch);
      if (refusal !== undefined) return refusal;
      const absoluteAt = record?.deadlines.absoluteAt;
      records.setDeadlines(key, { idleAt: touch.deadlines.idleAt, absoluteAt });
      return { outcome: 'touched' };
    });
  }

  release(key: SessionKey, { owner, epoch, final, replicas }: ReleaseRequest): Promise<ReleaseResult> {
    return this.#write('release', replicas, ({ records, taken }) => {
      const now = Date.now();
      const record = records.summary(key, now);
      const refusal = releaseRefusal(record, { owner, epoch, finalSeq: final?.seq });
      if (refusal !== undefined) return refusal;
      taken.note(key, record, owner);
      if (final !== undefined) records.put(key, 'released', { owner, epoch, ...final }, now);
      else records.setReleased(key);
      return { outcome: 'released' };
    });
  }

  adopt(key: SessionKey, { owner, ifEpoch }: AdoptRequest): Promise<AdoptResult> {
    return this.#write('adopt', 0, ({ records, taken }) => {
      const record = records.summary(key, Date.now());
      if (record === undefined) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.epoch !== ifEpoch) return { outcome: 'moved', record };
      const epoch = record.epoch + 1;
      const wasTaken = taken.note(key, record, owner);
      records.setOwner(key, owner, epoch);
      const snapshot = records.snapshot(key);
      const adopted = { ...record, state: 'active' as const, owner, epoch, snapshot };
      return { outcome: 'adopted', record: adopted, taken: wasTaken };
    });
  }

  end(key: SessionKey, end: EndRequest): Promise<EndResult> {
    return this.#write('end', end.replicas, ({ records, taken }) => {
      const now = Date.now();
      // What has begun under the ID since is another session.
      if (end.stood && end.until <= now) return { outcome: 'ended' };
      const record = records.summary(key, now);
      const refusal = endRefusal(record, end);
      if (refusal !== undefined) return refusal;
      taken.note(key, record, end.owner);
      entomb(records, key, record, end, now);
      return { outcome: 'ended' };
    });
  }

  replace(key: SessionKey, change: ReplaceRequest): Promise<ReplaceResult> {
    const { owner, successor } = change;
    const { replicas, ...commit } = change.commit;
    return this.#write('replace', replicas, ({ records, taken }) => {
      const now = Date.now();
      const [record, next] = [records.summary(key, now), records.summary(successor, now)];
      const step = replaceStep(record, next, change);
      if (typeof step === 'object') return step;
      if (step === 'both') {
        taken.note(successor, next, owner);
        records.put(successor, 'active', { owner, ...commit }, now);
      }
      taken.note(key, record, owner);
      entomb(records, key, record, change, now);
      return { outcome: 'replaced' };
    });
  }

  announce(backend: BackendAnnouncement, ttlMs: number): Promise<AnnounceResult> {
    return this.#write('announce', 0, ({ backends }) => backends.announce(backend, ttlMs));
  }

  withdraw(backend: Pick<BackendAnnouncement, 'application' | 'id' | 'incarnation'>): Promise<void> {
    return this.#write('withdraw', 0, ({ backends }) => backends.withdraw(backend));
  }

  backends(): Promise<BackendAnnouncement[]> {
    return this.#read('backends', ({ backends }) => backends.announced());
  }

  watchTaken(owner: string, watcher: TakenWatcher): TakenWatch {
    const watch = new SqliteTakenWatch(() => this.#open, owner, watcher, this.#options.logger);
    this.#takenWatches.add(watch);
    return watch;
  }

  setBackendState(change: BackendStateChange): Promise<SharedBackendState> {
    return this.#write('set-backend-state', 0, ({ backends }) => backends.setState(change));
  }

  backendStates(application: string): Promise<SharedBackendState[]> {
    return this.#read('backend-states', ({ backends }) => backends.states(application));
  }

  get settlingMs(): number {
    return this.#settling.remainingMs;
  }

  onSettling(listener: () => void): () => void {
    return this.#settling.onBegin(listener);
  }

  async prolongSettling(ms: number): Promise<void> {
    if (this.#settling.settleMs === 0) return;
    this.#settling.prolong(ms);
    await this.#write('prolong-settling', 0, ({ meta }) => meta.prolong(ms));
  }

  async check(): Promise<StoreWarning[]> {
    // Takes the write lock: a file that can only be read is no store.
    await this.#write('check', 0, () => undefined);
    return [];
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.stop();
    for (const watch of this.#takenWatches) watch.stop();
    closeFile(this.#open);
  }

  async #read<T>(operation: string, work: (open: OpenFile) => T): Promise<T> {
    if (this.#unusable !== undefined) throw this.#unusable;
    const open = this.#open;
    return open.file.read(operation, () => work(open));
  }

  async #write<T>(operation: string, replicas: number | undefined, work: (open: OpenFile) => T): Promise<T> {
    if (this.#unusable !== undefined) throw this.#unusable;
    if (replicas) {
      throw new StickshiftError('STORE_REFUSED', `${operation}: a file has no replicas to wait for`);
    }
    const open = this.#open;
    return open.file.write(operation, () => work(open));
  }

  /** Makes sure that a file is this installation's, and learns whether it is settling. */
  async #introduce({ file, meta }: OpenFile, swapped: boolean): Promise<void> {
    const { installation, path, settle } = this.#options;
    const found = await file.write('open', () => {
      if (settle > 0) meta.compare(this.#settling, swapped);
      return meta.claim(installation);
    });
    if (found !== installation) throw foreignStore(path, found, installation);
    this.#settling.learn(await file.read('open', () => meta.lineage(Date.now())));
  }

  async #look(): Promise<void> {
    const open = this.#open;
    if (await open.file.isSwapped()) return this.#reopen();
    const lineage = await open.file.read('look', () => open.meta.lineage(Date.now()));
    if (lineage.token === this.#settling.token) this.#settling.learn(lineage);
    else await this.#introduce(open, false);
  }

  async #reopen(): Promise<void> {
    const { logger, path } = this.#options;
    const open = await openFile(this.#options);
    let unusable: StickshiftError | undefined;
    try {
      // Before any operation sees what is in it.
      await this.#introduce(open, true);
    } catch (error) {
      if (!(error instanceof StickshiftError) || error.code !== 'STORE_FOREIGN') {
        closeFile(open);
        throw error;
      }
      unusable = error;
      logger.error({ err: error }, 'the store cannot be used');
    }
    if (this.#closed) return closeFile(open);
    logger.warn({ store: path }, 'the store’s file was removed or replaced; using the one that is there now');
    closeFile(this.#open);
    this.#open = open;
    this.#unusable = unusable;
  }
}

async function openFile({ path, commandTimeout, logger }: SqliteStoreOptions): Promise<OpenFile> {
  const file = await DatabaseFile.open(path, commandTimeout);
  return {
    file,
    records: new RecordTable(file),
    taken: new TakenTable(file),
    backends: new BackendTable(file, logger),
    meta: new MetaTable(file),
    purge: new Purge(file, logger),
  };
}

function closeFile({ file, purge }: OpenFile): void {
  purge.stop();
  file.close();
}

/** Leaves a tombstone in place of `record`, or prolongs the one that stands; it is never shortened. */
function entomb(
  records: RecordTable,
  key: SessionKey,
  record: RecordSummary | undefined,
  end: Pick<EndRequest, 'owner' | 'epoch' | 'until'>,
  now: number,
): void {
  const deadlines = { idleAt: wholeNumber(end.until, 'until'), absoluteAt: undefined };
  if (record?.state !== 'ended') {
    records.put(key, 'ended', { ...tombstoneOf(record, end), deadlines, snapshot: new Uint8Array() }, now);
  } else if (end.until > record.deadlines.idleAt) {
    records.setDeadlines(key, deadlines);
  }
}
