import { stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { StickshiftError } from '../../../protocol/errors.ts';
import type { SourceListener } from '../session-source.ts';
import { DirectoryWatch } from './directory-watch.ts';
import type { FileFormat } from './file-format.ts';
import type { FileNaming } from './file-naming.ts';
import { changeBetween, isUnchanged, type KnownFile, seen, seenStamp } from './known-files.ts';
import type { OneAtATime } from './one-at-a-time.ts';
import { ReleasedLock } from './released-lock.ts';
import {
  asSourceFailure,
  ignoring,
  mtimeOf,
  type Owner,
  readFile,
  type Stamp,
  statFile,
  TEMPORARY_PREFIX,
} from './session-file.ts';

/** Files looked at at the same time. Each takes a thread of libuv's pool, of which there are four by default. */
const LOOKS_AT_ONCE = 8;
const STATS_AT_ONCE = 32;
/** The watch tells of a write a moment before the app gives up its lock, milliseconds. */
const SHORT_LOCK = 20;

export interface FileTrackerOptions {
  readonly directory: string;
  readonly depth: number;
  readonly format: FileFormat;
  readonly naming: FileNaming;
  /** A file not modified for this long is expired, milliseconds. */
  readonly lifetime: number;
  /** Files kept track of at most. */
  readonly maxSessions: number;
  /** Shared with whoever else works on the files: per session ID, one thing at a time. */
  readonly inTurn: OneAtATime;
  readonly listener: SourceListener;
  readonly logger: Logger;
}

/** Knows which session files there are, and tells the listener what becomes of them. */
export class FileTracker {
  readonly #options: FileTrackerOptions;
  readonly #watch: DirectoryWatch;
  readonly #known = new Map<string, KnownFile>();
  /** Sessions to look at. */
  readonly #suspects = new Set<string>();
  #looking = 0;
  #state: 'starting' | 'tracking' | 'closed' = 'starting';
  #directoryIno = 0n;
  #full = false;
  /** Owner of a session file that the app made. */
  sampleOwner: Owner | undefined;

  constructor(options: FileTrackerOptions) {
    this.#options = options;
    const { directory: root, depth, logger } = options;
    this.#watch = new DirectoryWatch({ root, depth, logger, onPath: (path) => this.#suspectPath(path) });
  }

  ids(): string[] {
    return [...this.#known.keys()];
  }

  isKnown(id: string): boolean {
    return this.#known.has(id);
  }

  /** What this process itself did to a file: not a change to report. */
  note(id: string, file: KnownFile): void {
    this.#known.set(id, file);
  }

  /** This process itself removed the file. */
  unnote(id: string): void {
    this.#known.delete(id);
  }

  close(): void {
    this.#state = 'closed';
    this.#watch.close();
    this.#suspects.clear();
  }

  /**
   * Reads the directory whole. The first time this is how the tracker learns what there is; later it finds what the
   * watch has missed. Rejects when the directory cannot be read, or is another one than before.
   */
  async scan(): Promise<void> {
    const { naming } = this.#options;
    const { ino } = await stat(this.#options.directory, { bigint: true });
    if (this.#state === 'tracking' && ino !== this.#directoryIno) {
      throw new StickshiftError('SOURCE_FAILED', 'the session directory was replaced by another');
    }
    this.#directoryIno = ino;
    const found = new Set<string>();
    let batch: Promise<void>[] = [];
    for await (const path of this.#watch.files()) {
      if (this.#state === 'closed') return;
      const id = naming.idOf(path);
      if (id !== undefined) found.add(id);
      batch.push(id === undefined ? this.#tidy(path) : this.#compare(id, path));
      if (batch.length < STATS_AT_ONCE) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
    for (const id of this.#known.keys()) if (!found.has(id)) this.#suspects.add(id);
    if (this.#state === 'starting') this.#state = 'tracking';
    this.#lookAtSuspects();
  }

  /**
   * Looks at a session's file and reports what has changed. To be called in turn for the session.
   *
   * With a `deadline` (by `performance.now()`) it waits until the app has finished with the file and reads it whatever
   * its stamp; it rejects with `SOURCE_FAILED` when that takes too long, or when the app has died instead.
   */
  async look(id: string, deadline?: number): Promise<void> {
    const at = Date.now();
    const path = this.#pathOf(id);
    let before = this.#known.get(id);
    const stat = path === undefined ? undefined : await statFile(path);
    if (path === undefined || !stat) return this.#gone(id, before);
    before = await this.#unlessMadeAnew(id, before, stat);
    // An app that locks may be about to fill it: PHP answers a request before it writes the request's session.
    if (stat.size === 0n && !this.#mayBeEmpty(before) && deadline === undefined) return;
    if (deadline === undefined && before && isUnchanged(before, stat)) return;
    if (!before && !this.#hasRoom()) return;

    const lock = deadline === undefined ? undefined : new ReleasedLock(stat, at);
    const content = await readFile(path, deadline ?? performance.now() + SHORT_LOCK, lock?.onHeld);
    if (content === undefined) return this.#gone(id, before);
    if (content !== 'busy' && (await lock?.isOfTheDead(content))) {
      throw new StickshiftError('SOURCE_FAILED', 'the app died before it had written the session');
    }
    if (content !== 'busy') before = await this.#unlessMadeAnew(id, before, content.stamp);
    if (content === 'busy') {
      if (deadline !== undefined)
        throw new StickshiftError('SOURCE_FAILED', 'the app keeps the session locked');
      // A request is at work, which may take long. What it has written already may be captured when it is through.
      this.#known.set(id, seenStamp(stat, at, before?.digest));
      if (this.#state !== 'closed') this.#options.listener.changed(id);
    } else if (content.data.length > 0 || this.#mayBeEmpty(before)) {
      this.sampleOwner ??= stat;
      this.#report(id, before, seen(content, at));
    }
  }

  #report(id: string, before: KnownFile | undefined, now: KnownFile): void {
    if (this.#state === 'closed') return;
    this.#known.set(id, now);
    const { listener, lifetime } = this.#options;
    const change = changeBetween(before, now);
    if (change === 'changed') listener.changed(id);
    else if (change === 'touched') listener.touched(id, mtimeOf(now.stamp) + lifetime);
  }

  /**
   * What is known of the file that has this `stamp`: nothing, when it was removed and made again since the last look. The app may
   * begin a session under the ID of one that it has logged out, and is as fast as whoever watches it.
   */
  async #unlessMadeAnew(
    id: string,
    before: KnownFile | undefined,
    { birthtimeNs }: Stamp,
  ): Promise<KnownFile | undefined> {
    const { format, directory } = this.#options;
    if (!before || format.replaces !== 'in-place' || birthtimeNs === before.stamp.birthtimeNs) return before;
    // Where the kernel does not tell when a file was made, the time of its last change may stand in its place.
    const root = await ignoring('ENOENT', stat(directory, { bigint: true }));
    if (!root || root.birthtimeNs === root.ctimeNs) return before;
    await this.#gone(id, before);
    return undefined;
  }

  async #gone(id: string, before: KnownFile | undefined): Promise<void> {
    if (!before) return;
    const { directory, listener, lifetime, logger, naming } = this.#options;
    // When the directory itself is gone (a volume unmounted, a deployment that sweeps) nobody has logged out; taking it
    // for that would leave a tombstone for every session.
    const root = await ignoring('ENOENT', stat(directory, { bigint: true }));
    if (root?.ino !== this.#directoryIno || this.#state === 'closed') return;
    this.#known.delete(id);
    const parent = dirname(join(directory, naming.pathOf(id) ?? ''));
    if (!(await ignoring('ENOENT', stat(parent)))) {
      logger.warn(
        { directory: parent },
        'a subdirectory is gone with its sessions; that is not taken for logouts',
      );
      return;
    }
    const how = mtimeOf(before.stamp) + lifetime <= Date.now() ? 'expired' : 'removed';
    listener.ended(id, how).catch((error: unknown) => {
      logger.warn({ err: error, how }, 'a session that has ended could not be ended everywhere');
    });
  }

  /** Compares a file found by a scan with what is known of it. */
  async #compare(id: string, path: string): Promise<void> {
    const at = Date.now();
    const file = await statFile(join(this.#options.directory, path));
    if (!file) return;
    const before = this.#known.get(id);
    if (this.#state !== 'starting') {
      if (!before || !isUnchanged(before, file)) this.#suspects.add(id);
      return;
    }
    if (file.size === 0n || !this.#hasRoom()) return;
    this.sampleOwner ??= file;
    this.#known.set(id, seenStamp(file, at));
  }

  /** Removes what an agent that was killed has left behind. */
  async #tidy(path: string): Promise<void> {
    if (!basename(path).startsWith(TEMPORARY_PREFIX)) return;
    const whole = join(this.#options.directory, path);
    const file = await ignoring('ENOENT', stat(whole));
    if (file && Date.now() - file.ctimeMs > 60_000) await ignoring('ENOENT', unlink(whole));
  }

  #suspectPath(path: string): void {
    const id = this.#options.naming.idOf(path);
    if (id === undefined) return;
    this.#suspects.add(id);
    this.#lookAtSuspects();
  }

  #lookAtSuspects(): void {
    // Until the first scan has ended nobody knows what is new.
    if (this.#state !== 'tracking') return;
    for (const id of this.#suspects) {
      if (this.#looking >= LOOKS_AT_ONCE) return;
      this.#suspects.delete(id);
      this.#looking += 1;
      void this.#lookSafely(id).finally(() => {
        this.#looking -= 1;
        this.#lookAtSuspects();
      });
    }
  }

  async #lookSafely(id: string): Promise<void> {
    try {
      await this.#options.inTurn.run(id, () => this.look(id));
    } catch (error) {
      const { code, message } = asSourceFailure(error);
      this.#options.logger.warn({ code, reason: message }, 'a session file cannot be looked at');
      // The agent finds out by capturing it, and shows the session as unprotected.
      if (this.#state === 'tracking') this.#options.listener.changed(id);
    }
  }

  /** An empty file is a session only where a session that was seen with content can become one. */
  #mayBeEmpty(before: KnownFile | undefined): boolean {
    return this.#options.format.emptySession && before !== undefined;
  }

  #hasRoom(): boolean {
    if (this.#known.size < this.#options.maxSessions) return true;
    if (!this.#full) {
      const { maxSessions, logger } = this.#options;
      logger.error(
        { maxSessions },
        'more session files than this agent looks after: the others are not protected',
      );
    }
    this.#full = true;
    return false;
  }

  #pathOf(id: string): string | undefined {
    const path = this.#options.naming.pathOf(id);
    return path && join(this.#options.directory, path);
  }
}
