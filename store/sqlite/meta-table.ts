import { randomUUID } from 'node:crypto';
import type { Lineage, Settling } from '../settling.ts';
import { wholeNumber } from '../whole-number.ts';
import type { DatabaseFile } from './database-file.ts';

/** Facts about the file as a whole. To be called within a transaction, `lineage` apart. */
export class MetaTable {
  readonly #file: DatabaseFile;

  constructor(file: DatabaseFile) {
    this.#file = file;
  }

  /** Gives a file that has none the fingerprint of an installation; returns the one that it carries now. */
  claim(installation: string): string {
    this.#file
      .prepare("INSERT OR IGNORE INTO meta (name, value) VALUES ('installation', ?)")
      .run(installation);
    return String(this.#get('installation'));
  }

  /** Reads only. */
  lineage(now: number): Lineage {
    const setAt = Number(this.#get('settling_set_at') ?? 0);
    const until = Number(this.#get('settling_until') ?? 0);
    // A machine whose clock was set back must not settle for as long.
    const from = Math.max(now, setAt);
    return { token: String(this.#get('lineage') ?? ''), remainingMs: Math.max(0, until - from) };
  }

  /**
   * Lets this file settle if it is not the one that the process knows.
   *
   * @param swapped - the process has found another file at its path; it may be a copy, with the token that is known
   */
  compare({ token, settleMs }: Settling, swapped: boolean): void {
    const now = Date.now();
    const found = this.lineage(now).token;
    if (found === '' || (swapped && found === token)) this.#set('lineage', randomUUID());
    if (token !== undefined && (swapped || found !== token)) this.prolong(settleMs);
  }

  prolong(ms: number): void {
    const now = Date.now();
    const left = Math.max(this.lineage(now).remainingMs, Math.ceil(ms));
    this.#set('settling_until', wholeNumber(now + left, 'settling'));
    this.#set('settling_set_at', now);
  }

  #get(name: string): unknown {
    return this.#file.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.value;
  }

  #set(name: string, value: string | number): void {
    this.#file.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(name, value);
  }
}
