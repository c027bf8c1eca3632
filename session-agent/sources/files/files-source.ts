import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from '../../../config/schema.ts';
import { StickshiftError } from '../../../protocol/errors.ts';
import type { CapturedSession, SessionSource, SourceListener } from '../session-source.ts';
import { FILE_FORMATS, type FileFormat } from './file-format.ts';
import { FileNaming } from './file-naming.ts';
import { FileTracker } from './file-tracker.ts';
import { seen } from './known-files.ts';
import { ownerOfNewFile } from './new-file-owner.ts';
import { OneAtATime } from './one-at-a-time.ts';
import {
  asSourceFailure,
  create,
  mtimeOf,
  overwrite,
  readFile,
  remove,
  removeEmpty,
  type Stamp,
  statFile,
} from './session-file.ts';

/** How soon a directory that is not there is looked for again. */
const RETRY_INTERVAL = 1_000;

export type FilesSourceConfig = Extract<AgentConfig['source'], { type: 'files' }>;

export interface FilesSourceOptions {
  /**
   * Whether the app server answers now. Asked of one that has emptied a session: it may have done so on purpose, or have died
   * before it wrote what it emptied the file for. Default: it does.
   */
  readonly isAppAlive?: () => Promise<boolean>;
  /** How long an operation waits for an app that keeps a session locked, milliseconds. Default 3000. */
  readonly lockTimeout?: number;
  /** Files kept track of at most. Default 1,000,000. */
  readonly maxSessions?: number;
}

/** Sessions that an app keeps in a directory, one file each. */
export function createFilesSource(
  config: FilesSourceConfig,
  logger: Logger,
  options: FilesSourceOptions = {},
): SessionSource {
  return new FilesSource(config, logger, options);
}

class FilesSource implements SessionSource {
  readonly kind = 'files';
  readonly #config: FilesSourceConfig;
  readonly #logger: Logger;
  readonly #format: FileFormat;
  readonly #naming: FileNaming;
  readonly #lockTimeout: number;
  readonly #maxSessions: number;
  readonly #isAppAlive: () => Promise<boolean>;
  readonly #inTurn = new OneAtATime();
  #listener: SourceListener | undefined;
  /** While the directory is there and has been read. */
  #tracker: FileTracker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #scan: Promise<void> | undefined;
  #trouble = 'it was not read yet';

  constructor(config: FilesSourceConfig, logger: Logger, options: FilesSourceOptions) {
    this.#config = config;
    this.#logger = logger;
    this.#format = FILE_FORMATS[config.format];
    this.#naming = new FileNaming(config.pattern, config.depth, this.#format.id);
    this.#lockTimeout = options.lockTimeout ?? 3_000;
    this.#maxSessions = options.maxSessions ?? 1_000_000;
    this.#isAppAlive = options.isAppAlive ?? (async () => true);
  }

  /** Resolves after the first scan, also when the directory is not there yet: it is looked for until it is. */
  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    await this.#scanAndRepeat();
  }

  async stop(): Promise<void> {
    this.#listener = undefined;
    clearTimeout(this.#timer);
    this.#tracker?.close();
    await this.#scan;
    this.#tracker?.close();
    this.#tracker = undefined;
  }

  async list(): Promise<string[]> {
    return this.#tracked().ids();
  }

  async refresh(id: string): Promise<void> {
    const tracker = this.#tracked();
    if (this.#naming.pathOf(id) === undefined) return;
    await this.#run(id, () => tracker.look(id, this.#deadline()));
  }

  async capture(id: string): Promise<CapturedSession | undefined> {
    const tracker = this.#tracked();
    const path = this.#pathOf(id);
    if (path === undefined) return undefined;
    return this.#run(id, () => this.#capture(id, path, tracker));
  }

  async #capture(id: string, path: string, tracker: FileTracker): Promise<CapturedSession | undefined> {
    const deadline = this.#deadline();
    for (;;) {
      const content = await readFile(path, deadline);
      if (content === 'busy') throw this.#busy();
      if (!content) return undefined;
      const { data, stamp } = content;
      const captured = { data, idleAt: mtimeOf(stamp) + this.#config.lifetime };
      if (data.length > 0) return captured;
      if (!tracker.isKnown(id)) return undefined;
      if (!this.#format.emptySession)
        throw new StickshiftError('SOURCE_FAILED', 'the app is writing the session');
      if (await this.#isAppAlive()) return captured;
      // PHP empties the file, and then writes it. What it died over is no session, and would be an empty one to the next PHP.
      const removed = await removeEmpty(path, deadline);
      if (removed === 'busy') throw this.#busy();
      if (removed === 'filled') continue;
      tracker.unnote(id);
      return undefined;
    }
  }

  async install(id: string, session: CapturedSession): Promise<void> {
    const tracker = this.#tracked();
    const path = this.#pathOf(id);
    if (path === undefined)
      throw new StickshiftError('SOURCE_FAILED', 'this cannot be the ID of a session file');
    await this.#run(id, async () => {
      const at = Date.now();
      const stamp = await this.#put(path, session, tracker);
      tracker.note(id, seen({ data: session.data, stamp }, at));
    });
  }

  async forget(id: string): Promise<void> {
    const tracker = this.#tracked();
    const path = this.#pathOf(id);
    if (path === undefined) return;
    await this.#run(id, async () => {
      if ((await remove(path, this.#deadline())) === 'busy') throw this.#busy();
      tracker.unnote(id);
    });
  }

  async #put(path: string, { data, idleAt }: CapturedSession, tracker: FileTracker): Promise<Stamp> {
    const deadline = this.#deadline();
    // The app tells a session's age from this.
    const mtime = idleAt - this.#config.lifetime;
    do {
      if (this.#format.replaces === 'in-place') {
        const stamp = await overwrite(path, data, mtime, deadline);
        if (stamp === 'busy') throw this.#busy();
        if (stamp) return stamp;
      }
      const owner = (await statFile(path)) ?? (await this.#ownerOfNewFile(tracker));
      await this.#makeSubdirectories(path);
      const how = this.#format.replaces === 'in-place' ? 'only-if-absent' : 'replace';
      const stamp = await create(path, data, mtime, owner, how);
      // Where it exists, the app has created it just now.
      if (stamp !== 'exists') return stamp;
    } while (performance.now() < deadline);
    throw this.#busy();
  }

  async #ownerOfNewFile(tracker: FileTracker) {
    const directory = await stat(this.#config.directory);
    return ownerOfNewFile(this.#config.owner, tracker.sampleOwner, directory, process.getuid?.() ?? 0);
  }

  /** PHP does not create the subdirectories of a `save_path` with depth. They become as the directory they are in. */
  async #makeSubdirectories(path: string): Promise<void> {
    let directory = this.#config.directory;
    const names = path.slice(directory.length).split('/').slice(0, -1);
    for (const name of names.filter((name) => name !== '')) {
      const parent = await stat(directory);
      directory = join(directory, name);
      try {
        await mkdir(directory);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw error;
      }
      if (process.getuid?.() === 0) await chown(directory, parent.uid, parent.gid);
      await chmod(directory, parent.mode & 0o7777);
    }
  }

  async #scanAndRepeat(): Promise<void> {
    this.#scan = this.#scanOnce();
    await this.#scan;
    if (!this.#listener) return;
    const pause = this.#tracker ? this.#config.scanInterval : RETRY_INTERVAL;
    this.#timer = setTimeout(() => void this.#scanAndRepeat(), pause).unref();
  }

  async #scanOnce(): Promise<void> {
    const listener = this.#listener;
    if (!listener) return;
    const tracker = this.#tracker ?? this.#newTracker(listener);
    try {
      await tracker.scan();
      if (!this.#listener) tracker.close();
      if (this.#tracker || !this.#listener) return;
      this.#tracker = tracker;
      this.#trouble = '';
      this.#logger.info({ sessions: tracker.ids().length }, 'the session directory is read');
      listener.attached();
    } catch (error) {
      tracker.close();
      const reason = asSourceFailure(error).message;
      if (reason !== this.#trouble) this.#logger.error({ reason }, 'the session directory cannot be read');
      this.#trouble = reason;
      if (!this.#tracker) return;
      this.#tracker = undefined;
      if (this.#listener) listener.detached(reason);
    }
  }

  #newTracker(listener: SourceListener): FileTracker {
    const { directory, depth, lifetime } = this.#config;
    return new FileTracker({
      directory,
      depth,
      lifetime,
      format: this.#format,
      naming: this.#naming,
      maxSessions: this.#maxSessions,
      inTurn: this.#inTurn,
      listener,
      logger: this.#logger,
    });
  }

  /** One operation on a session, after those before it. */
  async #run<Result>(id: string, operation: () => Promise<Result>): Promise<Result> {
    try {
      return await this.#inTurn.run(id, operation);
    } catch (error) {
      throw asSourceFailure(error);
    }
  }

  #tracked(): FileTracker {
    if (this.#tracker) return this.#tracker;
    throw new StickshiftError('SOURCE_FAILED', `the session directory cannot be read: ${this.#trouble}`);
  }

  #pathOf(id: string): string | undefined {
    const path = this.#naming.pathOf(id);
    return path && join(this.#config.directory, path);
  }

  #deadline(): number {
    return performance.now() + this.#lockTimeout;
  }

  #busy(): StickshiftError {
    return new StickshiftError(
      'SOURCE_FAILED',
      `the app kept the session locked for ${this.#lockTimeout} ms`,
    );
  }
}
