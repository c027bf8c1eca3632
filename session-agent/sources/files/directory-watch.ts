import { type Dirent, type FSWatcher, watch } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';

/** Kernel watches taken at most; what is beyond is found by scanning. */
const MAX_WATCHES = 8_192;
const LARGE_BUFFER = 256;

export interface DirectoryWatchOptions {
  readonly root: string;
  /** Levels of one-character subdirectories. */
  readonly depth: number;
  readonly logger: Logger;
  /** Something happened to what has this path, from the root; or was found there. */
  readonly onPath: (path: string) => void;
}

/**
 * Watches a directory, and the one-character subdirectories in which files may be, also those created later.
 *
 * What it reports is a hint, and so is its silence: when the kernel's queue overflows libuv drops the overflow event
 * without a word. Whoever must know everything reads the directory whole from time to time, with {@link files}.
 */
export class DirectoryWatch {
  readonly #options: DirectoryWatchOptions;
  /** By path from the root; the root is the empty path. */
  readonly #watchers = new Map<string, FSWatcher>();
  #full = false;

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
  }

  /** Paths, from the root, of everything in the directories that hold files. Watches each directory before reading it. */
  async *files(directory = '', level = 0): AsyncGenerator<string> {
    this.#watch(directory, level);
    for await (const entry of await this.#open(directory, level)) {
      const path = join(directory, entry.name);
      if (level === this.#options.depth) yield path;
      else if (isSubdirectory(entry)) yield* this.files(path, level + 1);
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #open(directory: string, level: number): Promise<AsyncIterable<Dirent>> {
    try {
      return await opendir(join(this.#options.root, directory), { bufferSize: LARGE_BUFFER });
    } catch (error) {
      // A subdirectory may go while its parent is read. The root has to be there.
      if (level > 0 && (error as NodeJS.ErrnoException).code === 'ENOENT') return none();
      throw error;
    }
  }

  #watch(directory: string, level: number): void {
    if (this.#watchers.has(directory) || this.#full) return;
    const { root, depth, logger, onPath } = this.#options;
    if (this.#watchers.size >= MAX_WATCHES) {
      this.#full = true;
      logger.warn(
        { watches: MAX_WATCHES },
        'too many directories to watch: changes in some are found by scanning only',
      );
      return;
    }
    try {
      const watcher = watch(join(root, directory), { persistent: false }, (_, name) => {
        if (name === null) return;
        const path = join(directory, name);
        if (level === depth) onPath(path);
        else if (name.length === 1) this.#subdirectoryChanged(path, level + 1);
      });
      watcher.on('error', (error) => {
        logger.warn({ err: error, directory }, 'a session directory can no longer be watched');
        this.#unwatch(directory);
      });
      this.#watchers.set(directory, watcher);
    } catch (error) {
      // ENOSPC: the user's inotify watches are used up. ENOENT: the reading that follows says what is wrong.
      logger.warn(
        { err: error, directory },
        'a session directory cannot be watched: changes are found by scanning only',
      );
    }
  }

  /** A subdirectory was created or removed. Files may have been put into a new one before it was watched. */
  #subdirectoryChanged(path: string, level: number): void {
    // The watch of a directory that was removed is dead, and says nothing of another one that takes its name.
    this.#unwatch(path);
    void this.#report(path, level);
  }

  async #report(path: string, level: number): Promise<void> {
    try {
      for await (const file of this.files(path, level)) this.#options.onPath(file);
    } catch (error) {
      this.#options.logger.warn({ err: error, directory: path }, 'a session directory cannot be read');
    }
  }

  #unwatch(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}

function isSubdirectory(entry: Dirent): boolean {
  return entry.name.length === 1 && entry.isDirectory();
}

async function* none(): AsyncGenerator<Dirent> {
  // Nothing to yield.
}
