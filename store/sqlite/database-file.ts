import { mkdirSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { StickshiftError } from '../../protocol/errors.ts';
import { prepareSchema } from './schema.ts';
import { asStoreError, isBusy } from './sqlite-errors.ts';

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 20;
/** The write-ahead log is cut back to this after a burst, bytes. */
const WAL_SIZE_LIMIT = 16 * 1024 * 1024;

/**
 * One SQLite file that the gateway and the agents of a machine share. SQLite's own way of waiting for a lock
 * (`busy_timeout`) would stop the event loop, and with it every request of a gateway; so a busy file is tried again
 * from here.
 */
export class DatabaseFile {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #inode: bigint;

  private constructor(database: DatabaseSync, path: string, timeoutMs: number) {
    this.#database = database;
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#inode = statSync(path, { bigint: true }).ino;
  }

  /** Opens the file; creates it and its directory when they are missing. */
  static async open(path: string, timeoutMs: number): Promise<DatabaseFile> {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new StickshiftError('STORE_REFUSED', `open ${path}: its directory cannot be made: ${reason}`);
    }
    const database = await whenFree(`open ${path}`, timeoutMs, () => openDatabase(path));
    return new DatabaseFile(database, path, timeoutMs);
  }

  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /** Runs statements that only read. In WAL mode they never wait for a writer. */
  read<T>(operation: string, work: () => T): Promise<T> {
    return this.#run(operation, work);
  }

  /** Runs statements in one transaction that holds the write lock from its start. */
  write<T>(operation: string, work: () => T): Promise<T> {
    const database = this.#database;
    return this.#run(operation, () => {
      // A plain BEGIN would take the lock at the first write, too late to wait for it: what was read may be outdated.
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Whether the path leads to another file by now, or to none: this one was moved, removed or replaced. */
  async isSwapped(): Promise<boolean> {
    try {
      return (await stat(this.#path, { bigint: true })).ino !== this.#inode;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
      throw asStoreError(error, `look for ${this.#path}`);
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #run<T>(operation: string, attempt: () => T): Promise<T> {
    const what = `${operation} ${this.#path}`;
    return whenFree(what, this.#timeoutMs, () => {
      if (!this.#database.isOpen) throw new StickshiftError('STORE_UNREACHABLE', 'the store is closed');
      return attempt();
    });
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // First of all: a file that is not ours must not be changed, not even its journal mode.
    prepareSchema(database);
    const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode;
    if (mode !== 'wal') {
      throw new StickshiftError('STORE_REFUSED', 'no write-ahead log here; is it a network file system?');
    }
    // NORMAL: a commit is in the operating system's cache before it is answered, so the death of any process loses
    // nothing. Only a power cut or kernel crash can undo the last commits; it never corrupts the file. FULL would
    // survive that as well, but sync the disk within every commit, with the event loop waiting.
    database.exec(`PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${WAL_SIZE_LIMIT}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

async function whenFree<T>(what: string, timeoutMs: number, attempt: () => T): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let longest = FIRST_PAUSE_MS; ; longest = Math.min(2 * longest, LONGEST_PAUSE_MS)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw asStoreError(error, what);
    }
    const left = deadline - performance.now();
    if (left <= 0) {
      throw new StickshiftError(
        'STORE_UNREACHABLE',
        `${what}: locked by another process for ${timeoutMs} ms`,
      );
    }
    // Jitter, so that two processes do not meet at the lock again and again.
    await pause(Math.min(left, longest * (0.5 + Math.random() / 2)));
  }
}
