import { type FileHandle, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { StickshiftError } from '../../protocol/errors.ts';
import { tryLock } from '../sources/files/flock.ts';
import { checkFileHeader, encodeFileHeader, type JournalOwner } from './file-header.ts';
import { type FoundFrame, scanFrames } from './frame.ts';

const NAME = 'journal';
const NEW_NAME = 'journal.new';
const LOCK_NAME = 'lock';
/** The directory's and the file's: what is in it is sealed, and still nobody's business. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
/** Bytes gathered before they are written, when the whole file is written anew. */
const CHUNK = 1024 * 1024;

/** What was found in the file when it was opened. */
export interface Recovered {
  readonly file: JournalFile;
  readonly frames: readonly FoundFrame[];
  /** Some of what was in it is lost: it has to be set aside and written anew. */
  readonly isDamaged: boolean;
}

/**
 * One file that frames are appended to, in a directory that one process at a time may use. All methods are to be called one
 * after the other. They reject with what the file system says; the file is then as it was before.
 */
export class JournalFile {
  readonly #directory: string;
  readonly #header: Buffer;
  readonly #lock: FileHandle;
  #file: FileHandle | undefined;
  #size = 0;
  /** A write failed: there may be something behind {@link size} that must go first. */
  #isTailOpen = false;
  /** The file has its name, but a crash might give that back to the one before: nothing in it counts as kept. */
  #isNameOpen = false;

  private constructor(directory: string, header: Buffer, lock: FileHandle) {
    this.#directory = directory;
    this.#header = header;
    this.#lock = lock;
  }

  /**
   * Opens the journal of a directory and reads it whole, or creates both.
   *
   * @throws StickshiftError `JOURNAL_INVALID` when another process has it, or it is not `owner`'s, or of a later release;
   * `JOURNAL_FAILED` when it cannot be opened
   */
  static async open(directory: string, owner: JournalOwner, logger: Logger): Promise<Recovered> {
    const lock = await lockDirectory(directory);
    try {
      const file = new JournalFile(directory, encodeFileHeader(owner), lock);
      return { file, ...(await file.#recover(owner, logger)) };
    } catch (error) {
      await lock.close();
      throw asJournalError(directory, error);
    }
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#size;
  }

  /** Resolves with the offset at which the bytes stand, when the disk has them. */
  async append(bytes: Buffer): Promise<number> {
    const file = this.#file ?? (await this.#create());
    const offset = this.#size;
    if (this.#isTailOpen) await file.truncate(offset);
    this.#isTailOpen = true;
    await writeAll(file, bytes, offset);
    await file.datasync();
    if (this.#isNameOpen) await syncDirectory(this.#directory);
    this.#isNameOpen = false;
    this.#isTailOpen = false;
    this.#size += bytes.length;
    return offset;
  }

  async read(offset: number, size: number): Promise<Buffer> {
    const bytes = Buffer.alloc(size);
    const read = await this.#file?.read(bytes, 0, size, offset);
    return bytes.subarray(0, read?.bytesRead ?? 0);
  }

  /** Nothing in it counts any more. */
  async empty(): Promise<void> {
    this.#size = this.#header.length;
    await this.#file?.truncate(this.#size);
  }

  /**
   * Puts a new file in the place of this one, with these frames only. Resolves with their offsets, in order. A crash before
   * the next {@link append} leaves either file, whole.
   */
  async rewrite(frames: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<number[]> {
    const path = join(this.#directory, NEW_NAME);
    await rm(path, { force: true });
    const file = await open(path, 'wx+', FILE_MODE);
    const offsets: number[] = [];
    let size = 0;
    let chunk = [this.#header];
    let chunkSize = this.#header.length;
    try {
      for await (const frame of frames) {
        offsets.push(size + chunkSize);
        chunk.push(frame);
        chunkSize += frame.length;
        if (chunkSize < CHUNK) continue;
        await writeAll(file, Buffer.concat(chunk), size);
        size += chunkSize;
        chunk = [];
        chunkSize = 0;
      }
      await writeAll(file, Buffer.concat(chunk), size);
      size += chunkSize;
      await file.datasync();
      await rename(path, join(this.#directory, NAME));
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    const former = this.#file;
    this.#file = file;
    this.#size = size;
    this.#isTailOpen = false;
    this.#isNameOpen = true;
    // It has no name any more, and nothing in it counts: how closing it goes is of no consequence.
    await former?.close().catch(() => undefined);
    return offsets;
  }

  /** Keeps the file as it is under another name, besides its own; resolves with that. */
  async keepAside(): Promise<string> {
    const aside = join(this.#directory, `${NAME}.damaged-${Date.now()}`);
    await link(join(this.#directory, NAME), aside);
    return aside;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await this.#lock.close();
  }

  async #create(): Promise<FileHandle> {
    await this.rewrite([]);
    if (!this.#file) throw new StickshiftError('JOURNAL_FAILED', 'the journal was closed');
    return this.#file;
  }

  async #recover(owner: JournalOwner, logger: Logger): Promise<Omit<Recovered, 'file'>> {
    const path = join(this.#directory, NAME);
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    });
    if (bytes.length === 0) return { frames: [], isDamaged: false };
    const start = checkFileHeader(bytes, owner);
    const { frames, end, state } = scanFrames(bytes, start ?? 0);
    this.#file = await open(path, 'r+');
    this.#size = bytes.length;
    if (start === undefined || state === 'damaged') return { frames, isDamaged: true };
    if (state === 'torn') {
      logger.warn(
        { path, kept: frames.length, cutBytes: bytes.length - end },
        'the last entry of the journal was cut off in the middle and is dropped; nobody was told that it was kept',
      );
      this.#size = end;
      this.#isTailOpen = true;
    }
    return { frames, isDamaged: false };
  }
}

/** The lock goes with the process that holds it, however that ends. */
async function lockDirectory(directory: string): Promise<FileHandle> {
  let lock: FileHandle | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    lock = await open(join(directory, LOCK_NAME), 'a', FILE_MODE);
    if (tryLock(lock.fd, 'exclusive')) return lock;
  } catch (error) {
    await lock?.close();
    throw asJournalError(directory, error);
  }
  await lock.close();
  throw new StickshiftError(
    'JOURNAL_INVALID',
    `another agent uses the journal in ${directory}: every agent needs a directory of its own`,
  );
}

function asJournalError(directory: string, error: unknown): StickshiftError {
  if (error instanceof StickshiftError && error.code === 'JOURNAL_INVALID') return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new StickshiftError('JOURNAL_FAILED', `the journal in ${directory} cannot be opened: ${reason}`, {
    cause: error,
  });
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** A rename is on the disk only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
