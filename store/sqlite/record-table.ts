import type { StatementSync } from 'node:sqlite';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { Commit, Deadlines, RecordState, RecordSummary, StoredRecord } from '../snapshot-store.ts';
import { wholeNumber } from '../whole-number.ts';
import type { DatabaseFile } from './database-file.ts';

const SUMMARY_COLUMNS =
  'state, owner, epoch, seq, committed_at, idle_at, absolute_at, length(snapshot) AS size';

/** A row as the columns above give it; the table is STRICT, so the types hold. */
interface SummaryRow {
  readonly state: RecordState;
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
  readonly committed_at: number;
  readonly idle_at: number;
  readonly absolute_at: number | null;
  readonly size: number;
}

/** The statements on `records`. To be called within a transaction when what they read decides what is written. */
export class RecordTable {
  readonly #summary: StatementSync;
  readonly #record: StatementSync;
  readonly #snapshot: StatementSync;
  readonly #put: StatementSync;
  readonly #own: StatementSync;
  readonly #release: StatementSync;
  readonly #deadlines: StatementSync;

  constructor(file: DatabaseFile) {
    this.#summary = file.prepare(`SELECT ${SUMMARY_COLUMNS} FROM records WHERE key = ? AND expires_at > ?`);
    this.#record = file.prepare(
      `SELECT ${SUMMARY_COLUMNS}, snapshot FROM records WHERE key = ? AND expires_at > ?`,
    );
    this.#snapshot = file.prepare('SELECT snapshot FROM records WHERE key = ?');
    this.#put = file.prepare(`
      INSERT OR REPLACE INTO records
        (key, state, owner, epoch, seq, committed_at, idle_at, absolute_at, expires_at, snapshot)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#own = file.prepare("UPDATE records SET state = 'active', owner = ?, epoch = ? WHERE key = ?");
    this.#release = file.prepare("UPDATE records SET state = 'released' WHERE key = ?");
    this.#deadlines = file.prepare('UPDATE records SET idle_at = ?, expires_at = ? WHERE key = ?');
  }

  summary(key: SessionKey, now: number): RecordSummary | undefined {
    const row = this.#summary.get(key, now) as unknown as SummaryRow | undefined;
    return row && summaryOf(row, now);
  }

  record(key: SessionKey, now: number): StoredRecord | undefined {
    const row = this.#record.get(key, now) as unknown as (SummaryRow & { snapshot: Uint8Array }) | undefined;
    return row && { ...summaryOf(row, now), snapshot: row.snapshot };
  }

  /** The snapshot of a record that is there. */
  snapshot(key: SessionKey): Uint8Array {
    const row = this.#snapshot.get(key) as unknown as { snapshot: Uint8Array };
    return row.snapshot;
  }

  put(key: SessionKey, state: RecordState, record: Omit<Commit, 'replicas'>, now: number): void {
    const { idleAt, absoluteAt } = record.deadlines;
    this.#put.run(
      key,
      state,
      record.owner,
      wholeNumber(record.epoch, 'epoch'),
      wholeNumber(record.seq, 'seq'),
      now,
      wholeNumber(idleAt, 'idleAt'),
      absoluteAt === undefined ? null : wholeNumber(absoluteAt, 'absoluteAt'),
      expiry(record.deadlines),
      record.snapshot,
    );
  }

  setOwner(key: SessionKey, owner: string, epoch: number): void {
    this.#own.run(owner, epoch, key);
  }

  setReleased(key: SessionKey): void {
    this.#release.run(key);
  }

  setDeadlines(key: SessionKey, deadlines: Deadlines): void {
    this.#deadlines.run(wholeNumber(deadlines.idleAt, 'idleAt'), expiry(deadlines), key);
  }
}

function summaryOf(row: SummaryRow, now: number): RecordSummary {
  return {
    state: row.state,
    owner: row.owner,
    epoch: row.epoch,
    seq: row.seq,
    size: row.size,
    committedAt: row.committed_at,
    // The machine's clock may have been set back since.
    ageMs: Math.max(0, now - row.committed_at),
    deadlines: { idleAt: row.idle_at, absoluteAt: row.absolute_at ?? undefined },
  };
}

function expiry({ idleAt, absoluteAt }: Deadlines): number {
  return absoluteAt === undefined ? idleAt : Math.min(idleAt, absoluteAt);
}
