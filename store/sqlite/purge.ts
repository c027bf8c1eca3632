import type { Logger } from 'pino';
import { asStickshiftError } from '../../protocol/errors.ts';
import type { DatabaseFile } from './database-file.ts';

const INTERVAL_MS = 30_000;
/** Rows in one transaction: more would keep the other processes waiting. */
const BATCH = 200;
/** Between two batches, so that the others get their turn. */
const BATCH_PAUSE_MS = 50;

/** Removes expired rows now and then; until it does, no operation sees them. Never keeps the process alive. */
export class Purge {
  readonly #file: DatabaseFile;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(file: DatabaseFile, logger: Logger) {
    this.#file = file;
    this.#log = logger;
    this.#schedule(INTERVAL_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Removes one batch; returns how many rows it had. */
  batch(): Promise<number> {
    const expired = (table: string) => `
      DELETE FROM ${table} WHERE rowid IN
        (SELECT rowid FROM ${table} WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ${BATCH})`;
    return this.#file.write('purge', () => {
      const now = Date.now();
      const records = this.#file.prepare(expired('records')).run(now).changes;
      const announcements = this.#file.prepare(expired('announcements')).run(now).changes;
      return Number(records) + Number(announcements);
    });
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#tick(), delayMs).unref();
  }

  async #tick(): Promise<void> {
    let removed = 0;
    try {
      removed = await this.batch();
    } catch (error) {
      if (this.#stopped) return;
      const { code, message } = asStickshiftError(error);
      this.#log.warn({ code, reason: message }, 'expired sessions could not be removed; trying again later');
    }
    this.#schedule(removed >= BATCH ? BATCH_PAUSE_MS : INTERVAL_MS);
  }
}
