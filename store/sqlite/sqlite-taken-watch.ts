import type { Logger } from 'pino';
import { asStickshiftError, StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import type { TakenWatch, TakenWatcher } from '../snapshot-store.ts';
import type { DatabaseFile } from './database-file.ts';
import type { TakenTable } from './taken-table.ts';

const LOOK_EVERY_MS = 500;

/** Reads the table of taken sessions twice a second. Never keeps the process alive. */
export class SqliteTakenWatch implements TakenWatch {
  readonly #current: () => { readonly file: DatabaseFile; readonly taken: TakenTable };
  readonly #owner: string;
  readonly #watcher: TakenWatcher;
  readonly #log: Logger;
  /** How far the table of which file has been read. */
  #read: { readonly file: DatabaseFile; readonly number: number } | undefined;
  #heardUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param current - the open file: another one when it was replaced */
  constructor(
    current: () => { readonly file: DatabaseFile; readonly taken: TakenTable },
    owner: string,
    watcher: TakenWatcher,
    logger: Logger,
  ) {
    this.#current = current;
    this.#owner = owner;
    this.#watcher = watcher;
    this.#log = logger;
    void this.#look();
  }

  get heardUntil(): number {
    return this.#heardUntil;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const { file, taken } = this.#current();
    const before = this.#read?.file === file ? this.#read.number : undefined;
    try {
      // What others take by now stands in the new file.
      if (await file.isSwapped()) throw new StickshiftError('STORE_UNREACHABLE', 'the file was replaced');
      const news = await file.read('watch', (): { last: number; keys: SessionKey[] | undefined } => ({
        last: taken.last(),
        keys: before === undefined ? undefined : taken.since(before, this.#owner),
      }));
      if (this.#stopped) return;
      this.#read = { file, number: news.last };
      if (news.keys === undefined) this.#watcher.missed();
      else if (news.keys.length > 0) this.#watcher.taken(news.keys);
      this.#heardUntil = now;
    } catch (error) {
      const { code, message } = asStickshiftError(error);
      this.#log.debug({ code, reason: message }, 'the store cannot tell which sessions were taken over');
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS).unref();
  }
}
