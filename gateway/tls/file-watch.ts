import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';

interface FileWatchOptions {
  readonly files: readonly string[];
  readonly logger: Logger;
  /** How long a directory must be quiet before `look` is called: files that belong together are written one after the other. */
  readonly settleMs: number;
  /** How often `look` is called anyway: a directory may be a mount whose changes nobody reports, or be replaced itself. */
  readonly pollMs: number;
  /** Called when the files may have changed. */
  readonly look: () => void;
}

/**
 * Watches the directories of files, not the files: those are replaced by a rename, and where Kubernetes mounts a secret, it is a
 * link beside them that changes.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #watchers: FSWatcher[] = [];
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#poll = setInterval(options.look, options.pollMs).unref();
    for (const directory of new Set(options.files.map((file) => dirname(file)))) this.#watch(directory);
  }

  /** Calls `look` after a while, unless it is called before for another reason. */
  lookIn(ms: number): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(this.#options.look, ms).unref();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(directory: string): void {
    const { logger, pollMs, settleMs } = this.#options;
    const lost = (error: unknown) =>
      logger.warn(
        { err: error, directory, pollMs },
        'a directory cannot be watched; its files are looked at from time to time',
      );
    try {
      const watcher = watch(directory, { persistent: false }, () => this.lookIn(settleMs));
      watcher.on('error', (error) => {
        watcher.close();
        lost(error);
      });
      this.#watchers.push(watcher);
    } catch (error) {
      lost(error);
    }
  }
}
