import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asStickshiftError, StickshiftError } from '../../../protocol/errors.ts';
import { lockBefore } from './flock.ts';

/** Sessions beyond this are not read at all. The agent's own limit is far lower. */
const MAX_SIZE = 64n * 1024n * 1024n;
/** Begins with a dot and matches no session's name, so that neither the app nor the agent takes it for one. */
export const TEMPORARY_PREFIX = '.stickshift-';

// O_NOFOLLOW: whoever may create a link in the directory could otherwise have any file read or written by the agent.
// O_NONBLOCK: opening a pipe that was put in place of a session would never return.
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What tells one state of a file from the next without reading it. */
export interface Stamp {
  readonly mtimeNs: bigint;
  readonly size: bigint;
  readonly ino: bigint;
  /** Inode numbers are given again at once; a file that was made anew has another one of these. 0: not told. */
  readonly birthtimeNs: bigint;
}

export interface FileContent {
  readonly data: Uint8Array;
  readonly stamp: Stamp;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

export type FileStat = Stamp & Owner;

export const sameStamp = (a: Stamp, b: Stamp) =>
  a.mtimeNs === b.mtimeNs && a.size === b.size && a.ino === b.ino;

/** Milliseconds since 1970. */
export const mtimeOf = (stamp: Stamp) => Number((stamp.mtimeNs + 500_000n) / 1_000_000n);

/** `undefined` when there is no file, or none that could be a session's (a directory, a symbolic link). */
export async function statFile(path: string): Promise<FileStat | undefined> {
  const stat = await ignoring('ENOENT', lstat(path, { bigint: true }));
  return stat?.isFile() ? asFileStat(stat) : undefined;
}

/**
 * Reads a file under a shared lock, so never in the middle of a write by a handler that locks; without a lock it is
 * read again until nothing changed meanwhile. `busy`: not to be had before the deadline. `undefined`: no such file.
 *
 * @param onHeld - called while somebody has it locked
 */
export async function readFile(
  path: string,
  deadline: number,
  onHeld?: () => Promise<void>,
): Promise<FileContent | 'busy' | undefined> {
  for (;;) {
    const file = await openRegular(path, READ);
    if (!file) return undefined;
    try {
      if (!(await lockBefore(deadline, file.fd, 'shared', onHeld))) return 'busy';
      const before = await file.stat({ bigint: true });
      // Removed or replaced while this waited for the lock: what is at the path now is another file.
      if (before.nlink === 0n) continue;
      if (before.size > MAX_SIZE) throw notCapturable('a session file is too large to be read');
      const data = await file.readFile();
      const after = await file.stat({ bigint: true });
      if (sameStamp(before, after) && BigInt(data.length) === after.size) return { data, stamp: after };
    } finally {
      await file.close();
    }
    if (performance.now() >= deadline) return 'busy';
  }
}

/** Overwrites a file in place under its lock, and sets its mtime. `undefined`: there is no such file. */
export async function overwrite(
  path: string,
  data: Uint8Array,
  mtime: number,
  deadline: number,
): Promise<Stamp | 'busy' | undefined> {
  return underLock(path, deadline, async (file) => {
    await writeAll(file, data);
    await file.truncate(data.length);
    return finish(file, mtime);
  });
}

/**
 * Puts a whole new file in place in one step. `exists`: there is one already, and `how` does not allow to replace it.
 */
export async function create(
  path: string,
  data: Uint8Array,
  mtime: number,
  owner: Owner,
  how: 'replace' | 'only-if-absent',
): Promise<Stamp | 'exists'> {
  const temporary = join(dirname(path), `${TEMPORARY_PREFIX}${randomUUID()}`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    let stamp: Stamp;
    try {
      await writeAll(file, data);
      await giveTo(file, owner);
      stamp = await finish(file, mtime);
    } finally {
      await file.close();
    }
    if (how === 'replace') {
      await rename(temporary, path);
      return stamp;
    }
    // Unlike a rename, a link never takes the place of a file that the app has created and opened meanwhile.
    const linked = await link(temporary, path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    return linked ? stamp : 'exists';
  } finally {
    await ignoring('ENOENT', unlink(temporary));
  }
}

/** Removes a file under its lock, so not before a request that uses it has ended. `undefined`: there is none. */
export async function remove(path: string, deadline: number): Promise<'removed' | 'busy' | undefined> {
  return underLock(path, deadline, async () => {
    await ignoring('ENOENT', unlink(path));
    return 'removed' as const;
  });
}

/** Removes a file under its lock if it is still empty. `filled`: it is not. `undefined`: there is none. */
export async function removeEmpty(
  path: string,
  deadline: number,
): Promise<'removed' | 'filled' | 'busy' | undefined> {
  return underLock(path, deadline, async (file) => {
    if ((await file.stat()).size > 0) return 'filled' as const;
    await ignoring('ENOENT', unlink(path));
    return 'removed' as const;
  });
}

async function underLock<Result>(
  path: string,
  deadline: number,
  task: (file: FileHandle) => Promise<Result>,
): Promise<Result | 'busy' | undefined> {
  for (;;) {
    const file = await openRegular(path, WRITE);
    if (!file) return undefined;
    try {
      if (!(await lockBefore(deadline, file.fd, 'exclusive'))) return 'busy';
      const { nlink } = await file.stat();
      if (nlink > 0) return await task(file);
    } finally {
      await file.close();
    }
  }
}

async function openRegular(path: string, flags: number): Promise<FileHandle | undefined> {
  const file = await ignoring('ENOENT', open(path, flags));
  if (file && !(await file.stat()).isFile()) {
    await file.close();
    throw notCapturable('a session file is not a regular file');
  }
  return file;
}

async function writeAll(file: FileHandle, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length; ) {
    at += (await file.write(data, at, data.length - at, at)).bytesWritten;
  }
}

async function finish(file: FileHandle, mtime: number): Promise<Stamp> {
  await file.utimes(Date.now() / 1000, mtime / 1000);
  return asFileStat(await file.stat({ bigint: true }));
}

async function giveTo(file: FileHandle, owner: Owner): Promise<void> {
  await file.chmod(owner.mode);
  const { uid, gid } = await file.stat();
  if (uid === owner.uid && gid === owner.gid) return;
  try {
    await file.chown(owner.uid, owner.gid);
  } catch (error) {
    // The group may differ; a file of another user would be one that the app cannot open.
    if (uid === owner.uid) return;
    const what = `a session file cannot be given to uid ${owner.uid}: run the agent as the app’s user`;
    throw failed(what, { cause: error });
  }
}

function asFileStat(stat: Stamp & { uid: bigint; gid: bigint; mode: bigint }): FileStat {
  const { mtimeNs, size, ino, birthtimeNs, uid, gid, mode } = stat;
  const owner = { uid: Number(uid), gid: Number(gid), mode: Number(mode) & 0o777 };
  return { mtimeNs, size, ino, birthtimeNs, ...owner };
}

/**
 * Anything that went wrong with a session file, as `SOURCE_FAILED`, or `SESSION_UNPROTECTED` when trying again is of no
 * use. The message and cause of a system error name the
 * file, and so the session ID, which no log may hold: only its code is kept.
 */
export function asSourceFailure(error: unknown): StickshiftError {
  const { syscall, code } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return asStickshiftError(error, 'SOURCE_FAILED');
  const what = `${syscall} of a session file or directory failed: ${code}`;
  // These do not pass by themselves. ELOOP is a symbolic link in place of the file.
  return code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' ? notCapturable(what) : failed(what);
}

function notCapturable(message: string): StickshiftError {
  return new StickshiftError('SESSION_UNPROTECTED', message);
}

function failed(message: string, options?: ErrorOptions): StickshiftError {
  return new StickshiftError('SOURCE_FAILED', message, options);
}

export async function ignoring<Result>(
  code: string,
  operation: Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return undefined;
    throw error;
  }
}
