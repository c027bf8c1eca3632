import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { parseAnnouncement } from '../announcement.ts';
import type {
  AdoptResult,
  BackendAnnouncement,
  Commit,
  CommitResult,
  EndResult,
  Fenced,
  RecordSummary,
  ReleaseResult,
  SnapshotStore,
  StoredRecord,
  StoreWarning,
  TouchResult,
} from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import { DatabaseFile } from './database-file.ts';
import { Purge } from './purge.ts';
import { RecordTable } from './record-table.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  /** How long one operation may wait for the other processes, milliseconds. */
  readonly commandTimeout: number;
  readonly logger: Logger;
}

/** Snapshots in one SQLite file, for gateways and agents on one machine. See `docs/store.md`. */
export class SqliteSnapshotStore implements SnapshotStore {
  readonly #file: DatabaseFile;
  readonly #records: RecordTable;
  readonly #purge: Purge;
  readonly #log: Logger;

  private constructor(file: DatabaseFile, logger: Logger) {
    this.#file = file;
    this.#records = new RecordTable(file);
    this.#purge = new Purge(file, logger);
    this.#log = logger;
  }

  /**
   * @throws StickshiftError `CONFIG_INVALID` without a path; `STORE_REFUSED` when the file cannot be opened;
   *   `STORE_INVALID` when it is no database, another program's, or a newer Stickshift's
   */
  static async open({ path, commandTimeout, logger }: SqliteStoreOptions): Promise<SqliteSnapshotStore> {
    if (path === '' || path.startsWith(':')) {
      // SQLite would keep such a database to this process alone, and nothing would ever be handed over.
      throw new StickshiftError('CONFIG_INVALID', 'store.url: expected the path of a file after sqlite:');
    }
    return new SqliteSnapshotStore(await DatabaseFile.open(path, commandTimeout), logger);
  }

  lookup(key: SessionKey): Promise<RecordSummary | undefined> {
    return this.#file.read('lookup', () => this.#records.summary(key, Date.now()));
  }

  read(key: SessionKey): Promise<StoredRecord | undefined> {
    return this.#file.read('read', () => this.#records.record(key, Date.now()));
  }

  commit(key: SessionKey, commit: Commit): Promise<CommitResult> {
    return this.#file.write('commit', () => {
      const now = Date.now();
      const record = this.#records.summary(key, now);
      if (record !== undefined) {
        if (record.state === 'ended') return { outcome: 'ended' };
        if (record.state !== 'active' || !owns(commit, record)) return fenced(record);
        if (commit.seq <= record.seq) return { outcome: 'stale', seq: record.seq };
      }
      this.#records.put(key, 'active', commit, now);
      return { outcome: 'committed' };
    });
  }

  touch(key: SessionKey, touch: Pick<Commit, 'owner' | 'epoch' | 'deadlines'>): Promise<TouchResult> {
    return this.#file.write('touch', () => {
      const record = this.#records.summary(key, Date.now());
      if (record === undefined) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.state !== 'active' || !owns(touch, record)) return fenced(record);
      this.#records.setDeadlines(key, { ...record.deadlines, idleAt: touch.deadlines.idleAt });
      return { outcome: 'touched' };
    });
  }

  release(
    key: SessionKey,
    release: Pick<Commit, 'owner' | 'epoch'> & {
      readonly final?: Pick<Commit, 'seq' | 'snapshot' | 'deadlines'>;
    },
  ): Promise<ReleaseResult> {
    const { owner, epoch, final } = release;
    return this.#file.write('release', () => {
      const now = Date.now();
      const record = this.#records.summary(key, now);
      if (record !== undefined) {
        if (record.state === 'ended') return { outcome: 'ended' };
        if (!owns(release, record)) return fenced(record);
        const newer = final !== undefined && final.seq > record.seq;
        if (record.state === 'released') return newer ? fenced(record) : { outcome: 'released' };
        if (final !== undefined && !newer) return { outcome: 'stale', seq: record.seq };
      }
      if (final !== undefined) this.#records.put(key, 'released', { owner, epoch, ...final }, now);
      else if (record !== undefined) this.#records.setReleased(key);
      else return { outcome: 'absent' };
      return { outcome: 'released' };
    });
  }

  adopt(
    key: SessionKey,
    { owner, ifEpoch }: { readonly owner: string; readonly ifEpoch: number },
  ): Promise<AdoptResult> {
    return this.#file.write('adopt', () => {
      const record = this.#records.summary(key, Date.now());
      if (record === undefined) return { outcome: 'absent' };
      if (record.state === 'ended') return { outcome: 'ended' };
      if (record.epoch !== ifEpoch) return { outcome: 'moved', record };
      const epoch = record.epoch + 1;
      this.#records.setOwner(key, owner, epoch);
      const snapshot = this.#records.snapshot(key);
      return { outcome: 'adopted', record: { ...record, state: 'active', owner, epoch, snapshot } };
    });
  }

  end(
    key: SessionKey,
    end: { readonly owner: string; readonly epoch: number; readonly until: number },
  ): Promise<EndResult> {
    const { owner, until } = end;
    return this.#file.write('end', () => {
      const now = Date.now();
      const record = this.#records.summary(key, now);
      const deadlines = { idleAt: wholeNumber(until, 'until'), absoluteAt: undefined };
      if (record?.state === 'ended') {
        // A standing tombstone is prolonged, never shortened.
        if (until > record.deadlines.idleAt) this.#records.setDeadlines(key, deadlines);
        return { outcome: 'ended' };
      }
      if (
        record !== undefined &&
        (record.owner !== owner || (end.epoch !== 0 && record.epoch !== end.epoch))
      ) {
        return fenced(record);
      }
      const { epoch, seq } = record ?? { epoch: end.epoch, seq: 0 };
      this.#records.put(key, 'ended', { owner, epoch, seq, deadlines, snapshot: new Uint8Array() }, now);
      return { outcome: 'ended' };
    });
  }

  announce(backend: BackendAnnouncement, ttlMs: number): Promise<void> {
    return this.#file.write('announce', () => {
      this.#file
        .prepare('INSERT OR REPLACE INTO announcements (id, announcement, expires_at) VALUES (?, ?, ?)')
        .run(backend.id, JSON.stringify(backend), Date.now() + wholeNumber(ttlMs, 'ttlMs'));
    });
  }

  async backends(): Promise<BackendAnnouncement[]> {
    const rows = await this.#file.read('backends', () =>
      this.#file.prepare('SELECT id, announcement FROM announcements WHERE expires_at > ?').all(Date.now()),
    );
    return rows.flatMap((row) => {
      try {
        return [parseAnnouncement(String(row.announcement))];
      } catch (error) {
        // One malformed announcement must not hide the other backends.
        this.#log.warn({ err: error, backend: row.id }, 'announcement skipped');
        return [];
      }
    });
  }

  async check(): Promise<StoreWarning[]> {
    // Takes the write lock: a file that can only be read is no store.
    await this.#file.write('check', () => undefined);
    return [];
  }

  async close(): Promise<void> {
    this.#purge.stop();
    this.#file.close();
  }
}

function owns(caller: Pick<Commit, 'owner' | 'epoch'>, record: RecordSummary): boolean {
  return record.owner === caller.owner && record.epoch === caller.epoch;
}

function fenced({ owner, epoch }: RecordSummary): Fenced {
  return { outcome: 'fenced', owner, epoch };
}
