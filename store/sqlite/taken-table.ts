import type { StatementSync } from 'node:sqlite';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { RecordSummary } from '../snapshot-store.ts';
import type { DatabaseFile } from './database-file.ts';

/** Rows that are kept. A watcher that falls further behind is told that it missed something. */
const KEPT = 10_000;

/** Which sessions were taken from whom, in the order of their numbers, which have no gaps. */
export class TakenTable {
  readonly #add: StatementSync;
  readonly #trim: StatementSync;
  readonly #range: StatementSync;
  readonly #since: StatementSync;

  constructor(file: DatabaseFile) {
    this.#add = file.prepare('INSERT INTO taken (owner, key) VALUES (?, ?)');
    this.#trim = file.prepare('DELETE FROM taken WHERE number <= ?');
    this.#range = file.prepare('SELECT min(number) AS first, max(number) AS last FROM taken');
    this.#since = file.prepare('SELECT key FROM taken WHERE number > ? AND owner = ? ORDER BY number');
  }

  /** Notes it if `owner` takes the record from another one, and returns whether it does. Within the transaction that does it. */
  note(key: SessionKey, record: RecordSummary | undefined, owner: string): boolean {
    if (record?.state !== 'active' || record.owner === owner) return false;
    const { lastInsertRowid } = this.#add.run(record.owner, key);
    this.#trim.run(Number(lastInsertRowid) - KEPT);
    return true;
  }

  /** Number of the last row; 0 when there never was one. */
  last(): number {
    return Number(this.#range.get()?.last ?? 0);
  }

  /** What was taken from `owner` after row `number`; `undefined` when some of it is forgotten already. */
  since(number: number, owner: string): SessionKey[] | undefined {
    const first = Number(this.#range.get()?.first ?? 0);
    if (first > number + 1) return undefined;
    return this.#since.all(number, owner).map((row) => row.key as SessionKey);
  }
}
