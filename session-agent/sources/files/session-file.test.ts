import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readFile as readAll,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ErrorCode, StickshiftError } from '../../../protocol/errors.ts';
import { tryLock } from './flock.ts';
import { asSourceFailure, create, mtimeOf, overwrite, readFile, remove, statFile } from './session-file.ts';

const directory = await mkdtemp(join(tmpdir(), 'stickshift-file-'));
after(() => rm(directory, { recursive: true, force: true }));

let files = 0;
const newPath = () => join(directory, `file-${++files}`);
const soon = () => performance.now() + 50;
const later = () => performance.now() + 10_000;
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o600 };
const fails = (code: ErrorCode) => (error: unknown) => asSourceFailure(error).code === code;

async function withContent(text: string): Promise<string> {
  const path = newPath();
  await writeFile(path, text);
  return path;
}

describe('reading a session file', () => {
  test('gives its content and stamp', async () => {
    const path = await withContent('one');
    const content = await readFile(path, later());
    assert.ok(content && content !== 'busy');
    assert.equal(Buffer.from(content.data).toString(), 'one');
    assert.equal(content.stamp.size, 3n);
  });

  test('waits for whoever writes under a lock', async () => {
    const path = await withContent('old');
    const writer = await open(path, 'r+');
    assert.ok(tryLock(writer.fd, 'exclusive'));
    assert.equal(await readFile(path, soon()), 'busy');
    const reading = readFile(path, later());
    await writer.write('new', 0);
    await writer.close();
    const content = await reading;
    assert.ok(content && content !== 'busy');
    assert.equal(Buffer.from(content.data).toString(), 'new');
  });

  test('shares the lock with other readers', async () => {
    const path = await withContent('one');
    await using reader = await open(path, 'r');
    assert.ok(tryLock(reader.fd, 'shared'));
    assert.notEqual(await readFile(path, soon()), 'busy');
  });

  test('reads the file that took the place of the one it waited for', async () => {
    const path = await withContent('old');
    const writer = await open(path, 'r+');
    assert.ok(tryLock(writer.fd, 'exclusive'));
    const reading = readFile(path, later());
    await create(path, Buffer.from('new'), Date.now(), own, 'replace');
    await writer.close();
    const content = await reading;
    assert.ok(content && content !== 'busy');
    assert.equal(Buffer.from(content.data).toString(), 'new');
  });

  test('does not follow a symbolic link', async () => {
    const path = newPath();
    await symlink(await withContent('secret'), path);
    assert.equal(await statFile(path), undefined);
    await assert.rejects(readFile(path, soon()), fails('SESSION_UNPROTECTED'));
    await assert.rejects(overwrite(path, Buffer.from('x'), 0, soon()), fails('SESSION_UNPROTECTED'));
  });

  test('does not hang on a pipe, and refuses a directory', async () => {
    const [pipe, folder] = [newPath(), newPath()];
    execFileSync('mkfifo', [pipe]);
    await mkdir(folder);
    await assert.rejects(readFile(pipe, soon()), fails('SESSION_UNPROTECTED'));
    await assert.rejects(readFile(folder, soon()), fails('SESSION_UNPROTECTED'));
  });

  test('there may be none', async () => {
    assert.equal(await readFile(newPath(), later()), undefined);
  });
});

describe('overwriting a session file', () => {
  test('keeps inode, owner and mode, cuts off what was longer, and sets the time', async () => {
    const path = await withContent('something long');
    await chmod(path, 0o640);
    const before = await stat(path);
    const stamp = await overwrite(path, Buffer.from('short'), 1_700_000_000_123, later());
    const now = await stat(path);
    assert.equal(await readAll(path, 'utf8'), 'short');
    assert.deepEqual([now.ino, now.uid, now.mode], [before.ino, before.uid, before.mode]);
    assert.ok(stamp && stamp !== 'busy');
    assert.equal(mtimeOf(stamp), 1_700_000_000_123);
  });

  test('waits for readers and writers', async () => {
    const path = await withContent('old');
    await using reader = await open(path, 'r');
    assert.ok(tryLock(reader.fd, 'shared'));
    assert.equal(await overwrite(path, Buffer.from('new'), 0, soon()), 'busy');
    assert.equal(await readAll(path, 'utf8'), 'old');
  });

  test('makes none where there is none', async () => {
    const path = newPath();
    assert.equal(await overwrite(path, Buffer.from('new'), 0, soon()), undefined);
    assert.equal(await statFile(path), undefined);
  });
});

describe('creating a session file', () => {
  test('is private to its owner, and leaves nothing else behind', async () => {
    const path = newPath();
    await create(path, Buffer.from('one'), 1_700_000_000_000, own, 'only-if-absent');
    const { mode, mtimeMs } = await stat(path);
    assert.equal(mode & 0o777, 0o600);
    assert.equal(mtimeMs, 1_700_000_000_000);
    assert.deepEqual(
      (await readdir(directory)).filter((name) => name.startsWith('.')),
      [],
    );
  });

  test('never takes the place of a file that is there, unless it is to', async () => {
    const path = await withContent('old');
    assert.equal(await create(path, Buffer.from('new'), 0, own, 'only-if-absent'), 'exists');
    assert.equal(await readAll(path, 'utf8'), 'old');
    await create(path, Buffer.from('new'), 0, own, 'replace');
    assert.equal(await readAll(path, 'utf8'), 'new');
    assert.deepEqual(
      (await readdir(directory)).filter((name) => name.startsWith('.')),
      [],
    );
  });

  test('gives the file to another owner, or says that the agent’s user may not', async () => {
    const path = newPath();
    const creating = create(
      path,
      Buffer.from('one'),
      0,
      { uid: 12_345, gid: 12_346, mode: 0o640 },
      'replace',
    );
    if (own.uid !== 0) {
      await assert.rejects(creating, /run the agent as the app’s user/);
      return;
    }
    await creating;
    const now = await stat(path);
    assert.deepEqual([now.uid, now.gid, now.mode & 0o777], [12_345, 12_346, 0o640]);
  });
});

test('a file is removed once nobody uses it any more', async () => {
  const path = await withContent('one');
  const user = await open(path, 'r+');
  assert.ok(tryLock(user.fd, 'exclusive'));
  assert.equal(await remove(path, soon()), 'busy');
  await user.close();
  assert.equal(await remove(path, later()), 'removed');
  assert.equal(await remove(path, later()), undefined);
});

test('a system error keeps its code and loses the file’s name', async () => {
  const error = await open(join(directory, 'no', 'sess_secret')).catch(asSourceFailure);
  assert.equal((error as StickshiftError).code, 'SOURCE_FAILED');
  assert.match((error as StickshiftError).message, /ENOENT/);
  assert.doesNotMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /secret/);
});
