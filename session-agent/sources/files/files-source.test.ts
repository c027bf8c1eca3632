import assert from 'node:assert/strict';
import { unlinkSync, writeFileSync } from 'node:fs';
import {
  appendFile,
  type FileHandle,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { RecordingListener } from '../../../test/contract/session-source/recording-listener.ts';
import { eventually } from '../../../test/services/eventually.ts';
import { createFilesSource, type FilesSourceConfig, type FilesSourceOptions } from './files-source.ts';
import { lockBefore } from './flock.ts';
import { CLOCK_TICK } from './known-files.ts';

const LIFETIME = 1_440_000;
const logger = pino({ level: 'silent' });
const failed = { code: 'SOURCE_FAILED' };

interface Setup extends Partial<FilesSourceConfig> {
  readonly limits?: FilesSourceOptions;
  /** Called before the source starts. */
  readonly before?: (directory: string) => Promise<unknown>;
}

async function started(t: TestContext, { limits, before, ...config }: Setup = {}) {
  const parent = await mkdtemp(join(tmpdir(), 'stickshift-php-'));
  const directory = join(parent, 'sessions');
  await mkdir(directory);
  await before?.(directory);
  const defaults = { format: 'php', depth: 0, pattern: 'sess_{id}', lifetime: LIFETIME } as const;
  const source = createFilesSource(
    { type: 'files', directory, scanInterval: 600_000, ...defaults, ...config },
    logger,
    { lockTimeout: 10_000, ...limits },
  );
  const listener = new RecordingListener();
  t.after(async () => {
    await source.stop();
    await rm(parent, { recursive: true, force: true });
  });
  await source.start(listener);
  const file = (id: string) => join(directory, `sess_${id}`);
  const write = (id: string, text: string) => writeFile(file(id), text);
  return { source, listener, directory, file, write };
}

/** Puts a directory in place that holds a file from its first moment: the source may read it at any. */
async function comes(directory: string, name: string, text: string): Promise<void> {
  const aside = `${directory}-aside`;
  await mkdir(aside);
  await writeFile(join(aside, name), text);
  await rename(aside, directory);
}

/** Makes a file look as if it had last been used `ms` ago. */
async function age(path: string, ms: number): Promise<void> {
  const then = new Date(Date.now() - ms);
  await utimes(path, then, then);
}

/** What an app makes after this has another time of birth than what it has made before. */
const aTickLater = () => setTimeout(CLOCK_TICK);

/** As an app does, which may have to wait for the agent. */
async function lock(file: FileHandle): Promise<void> {
  assert.ok(await lockBefore(performance.now() + 10_000, file.fd, 'exclusive'));
}

describe('the directory of session files', () => {
  test('what is there at the start is listed and told of by being attached', async (t) => {
    const { source, listener } = await started(t, {
      before: async (directory) => {
        await writeFile(join(directory, 'sess_a'), 'x');
        await writeFile(join(directory, 'sess_empty'), '');
        await writeFile(join(directory, 'other'), 'x');
        await symlink('/etc/hostname', join(directory, 'sess_link'));
        await mkdir(join(directory, 'sess_folder'));
      },
    });
    assert.deepEqual(await source.list(), ['a']);
    assert.deepEqual(listener.events, [{ what: 'attached' }]);
  });

  test('may be missing at first', async (t) => {
    const { source, listener, directory } = await started(t, {
      before: (path) => rm(path, { recursive: true }),
    });
    await assert.rejects(source.list(), { ...failed, message: /ENOENT/ });
    await assert.rejects(source.install('a', { data: Buffer.from('x'), idleAt: Date.now() }), failed);
    await comes(directory, 'sess_a', 'x');
    await listener.heardTimes('attached', 1);
    assert.deepEqual(await source.list(), ['a']);
  });

  test('when it goes as a whole nobody has logged out, and when it is back it is read again', async (t) => {
    const { source, listener, directory, write } = await started(t, { scanInterval: 50 });
    await write('a', 'one');
    await listener.heard('changed', 'a');
    await rename(directory, `${directory}-away`);
    await listener.heardTimes('detached', 1);
    await assert.rejects(source.capture('a'), failed);
    await comes(directory, 'sess_b', 'two');
    await listener.heardTimes('attached', 2);
    assert.deepEqual(await source.list(), ['b']);
    await write('c', 'three');
    await listener.heard('changed', 'c');
    assert.equal(listener.count('ended'), 0);
  });

  test('another directory in its place is not taken for the same one', async (t) => {
    const { source, listener, directory, write } = await started(t);
    await write('a', 'one');
    await listener.heard('changed', 'a');
    await rename(directory, `${directory}-old`);
    await mkdir(directory);
    await source.refresh('a');
    assert.deepEqual(listener.of('a', 'ended'), []);
  });

  test('is read whole again after a while, for what the watch has missed', async (t) => {
    const { listener, directory, write, file } = await started(t, { scanInterval: 50 });
    await write('a', 'one');
    await listener.heard('changed', 'a');
    const told = listener.of('a', 'changed').length;
    // What is written by another name of the file goes unnoticed by a watch of the directory.
    await link(file('a'), `${directory}-other-name`);
    await writeFile(`${directory}-other-name`, 'changed');
    await eventually('the change', () => listener.of('a', 'changed').length > told);
  });

  test('subdirectories that are created later are watched', async (t) => {
    const { listener, directory } = await started(t, { depth: 2 });
    await mkdir(join(directory, 'a', 'b'), { recursive: true });
    await writeFile(join(directory, 'a', 'b', 'sess_abc'), 'one');
    await listener.heard('changed', 'abc');
    await writeFile(join(directory, 'a', 'b', 'sess_abd'), 'two');
    await listener.heard('changed', 'abd');
    await rm(join(directory, 'a', 'b'), { recursive: true });
    await mkdir(join(directory, 'a', 'b'));
    await writeFile(join(directory, 'a', 'b', 'sess_abe'), 'three');
    await listener.heard('changed', 'abe');
  });

  test('a subdirectory that is moved away takes its sessions along without ending them', async (t) => {
    const { source, listener, directory } = await started(t, { scanInterval: 50, depth: 1 });
    await source.install('a1', { data: Buffer.from('one'), idleAt: Date.now() + 60_000 });
    await rename(join(directory, 'a'), `${directory}-away`);
    await eventually('the scan', async () => (await source.list()).length === 0);
    assert.deepEqual(listener.of('a1'), []);
  });

  test('a temporary file that the agent is writing is left alone', async (t) => {
    const { directory, listener } = await started(t, { scanInterval: 50 });
    await writeFile(join(directory, '.stickshift-fresh'), 'x');
    await writeFile(join(directory, 'sess_a'), 'x');
    await listener.heard('changed', 'a');
    assert.ok((await readdir(directory)).includes('.stickshift-fresh'));
  });

  test('no more files are kept track of than asked for', async (t) => {
    const { source, listener, write } = await started(t, { limits: { maxSessions: 2 } });
    for (const id of ['a', 'b', 'c']) {
      await write(id, 'x');
      await source.refresh(id);
    }
    assert.deepEqual((await source.list()).sort(), ['a', 'b']);
    assert.deepEqual(listener.of('c'), []);
  });
});

describe('an empty file', () => {
  test('is no session before it has had content', async (t) => {
    const { source, listener, write } = await started(t);
    await write('a', '');
    await source.refresh('a');
    assert.equal(await source.capture('a'), undefined);
    assert.deepEqual(await source.list(), []);
    assert.deepEqual(listener.of('a'), []);
    await write('a', 'one');
    await listener.heard('changed', 'a');
  });

  test('is an emptied session when it had content: PHP’s $_SESSION = []', async (t) => {
    const { source, listener, write } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    const told = listener.of('a', 'changed').length;
    await write('a', '');
    await source.refresh('a');
    assert.ok(listener.of('a', 'changed').length > told);
    assert.equal((await source.capture('a'))?.data.length, 0);
  });

  test('is being written, for a handler that never empties a session', async (t) => {
    const { source, listener, write } = await started(t, { format: 'generic' });
    await write('a', 'one');
    await source.refresh('a');
    const told = listener.of('a').length;
    await write('a', '');
    await source.refresh('a');
    assert.equal(listener.of('a').length, told);
    await assert.rejects(source.capture('a'), failed);
  });
});

describe('a file that changes', () => {
  test('is told of when it changes within one tick of the clock, at the same size', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    const { mtime } = await stat(file('a'));
    const told = listener.of('a', 'changed').length;
    await write('a', 'two');
    await utimes(file('a'), mtime, mtime);
    await eventually('the change', () => listener.of('a', 'changed').length > told);
  });

  test('is told of as touched when only its time changes', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    const then = Date.now() + 7_000;
    await utimes(file('a'), new Date(then), new Date(then));
    await eventually('the touch', () =>
      listener.of('a', 'touched').some(({ idleAt }) => idleAt === then + LIFETIME),
    );
  });

  test('is told of as changed although the app keeps it locked', async (t) => {
    const { listener, write, file } = await started(t);
    await write('a', 'one');
    await listener.heard('changed', 'a');
    const told = listener.of('a', 'changed').length;
    await using app = await open(file('a'), 'r+');
    await lock(app);
    await app.write('two', 0);
    await eventually('the change', () => listener.of('a', 'changed').length > told);
  });

  test('that a request has just created and not yet filled is waited for', async (t) => {
    const { source, listener, file } = await started(t);
    const app = await open(file('a'), 'w+');
    await lock(app);
    let isRefreshed = false;
    const refreshing = source.refresh('a').then(() => {
      isRefreshed = true;
    });
    await source.refresh('somebody-else');
    assert.equal(isRefreshed, false);
    await app.write('one');
    await app.close();
    await refreshing;
    assert.ok(listener.of('a', 'changed').length > 0);
  });

  test('that a request has created and left empty is no session', async (t) => {
    const { source, listener, write } = await started(t);
    await write('a', '');
    await source.refresh('a');
    assert.deepEqual([listener.of('a', 'changed'), await source.list()], [[], []]);
  });

  test('that stays locked makes refresh and capture fail in time', async (t) => {
    const { source, write, file } = await started(t, { limits: { lockTimeout: 50 } });
    await write('a', 'one');
    await using app = await open(file('a'), 'r+');
    await lock(app);
    await assert.rejects(source.refresh('a'), failed);
    await assert.rejects(source.capture('a'), failed);
    await assert.rejects(source.install('a', { data: Buffer.from('x'), idleAt: Date.now() }), failed);
    await assert.rejects(source.forget('a'), failed);
  });

  test('does not keep those of other sessions waiting', async (t) => {
    const { source, write, file } = await started(t);
    await write('a', 'one');
    await write('b', 'two');
    const app = await open(file('a'), 'r+');
    await lock(app);
    const capturing = source.capture('a');
    assert.equal(Buffer.from((await source.capture('b'))?.data ?? []).toString(), 'two');
    await app.close();
    assert.ok(await capturing);
  });

  test('that a symbolic link takes the place of is not read', async (t) => {
    const { source, write, file, directory } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    await unlink(file('a'));
    await writeFile(join(directory, 'secret'), 'secret');
    await symlink(join(directory, 'secret'), file('a'));
    await assert.rejects(source.capture('a'), { code: 'SESSION_UNPROTECTED' });
    await assert.rejects(source.install('a', { data: Buffer.from('x'), idleAt: Date.now() }));
    assert.equal((await stat(join(directory, 'secret'))).size, 6);
  });
});

describe('a file that vanishes', () => {
  test('was removed by the app when its session was young', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    await unlink(file('a'));
    assert.equal((await listener.heard('ended', 'a')).how, 'removed');
  });

  test('was removed also when another has its name by the time anybody looks', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    const told = listener.events.length;
    await aTickLater();
    // Nothing else can come between.
    unlinkSync(file('a'));
    writeFileSync(file('a'), 'two');
    await source.refresh('a');
    assert.deepEqual(listener.events.slice(told), [
      { what: 'ended', id: 'a', how: 'removed' },
      { what: 'changed', id: 'a' },
    ]);
    assert.equal(Buffer.from((await source.capture('a'))?.data ?? []).toString(), 'two');
  });

  test('was removed also when a request has begun that has written nothing yet', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await source.refresh('a');
    const told = listener.events.length;
    await aTickLater();
    unlinkSync(file('a'));
    writeFileSync(file('a'), '');
    await source.refresh('a');
    assert.deepEqual(listener.events.slice(told), [{ what: 'ended', id: 'a', how: 'removed' }]);
    assert.equal(await source.capture('a'), undefined);
  });

  test('under a handler that renames has only been written again', async (t) => {
    const { source, listener, write, file } = await started(t, { format: 'generic' });
    await write('a', 'one');
    await source.refresh('a');
    await writeFile(file('a.tmp'), 'two');
    await rename(file('a.tmp'), file('a'));
    await source.refresh('a');
    assert.deepEqual(listener.of('a', 'ended'), []);
    assert.equal(Buffer.from((await source.capture('a'))?.data ?? []).toString(), 'two');
  });

  test('expired when its session was old', async (t) => {
    const { source, listener, write, file } = await started(t);
    await write('a', 'one');
    await age(file('a'), LIFETIME + 1_000);
    await source.refresh('a');
    await unlink(file('a'));
    assert.equal((await listener.heard('ended', 'a')).how, 'expired');
  });

  test('and whose logout cannot be saved harms nothing here', async (t) => {
    const { listener, write, file } = await started(t);
    listener.onEnded = async () => {
      throw new Error('the store is away');
    };
    await write('a', 'one');
    await listener.heard('changed', 'a');
    await unlink(file('a'));
    await listener.heard('ended', 'a');
    await write('b', 'two');
    await listener.heard('changed', 'b');
  });
});

describe('a file that is installed', () => {
  const session = (text: string) => ({ data: Buffer.from(text), idleAt: Date.now() + 60_000 });

  test('is as the app’s own files are', async (t) => {
    const { source, file } = await started(t, {
      before: (directory) => writeFile(join(directory, 'sess_a'), 'x', { mode: 0o640 }),
    });
    await source.install('b', session('one'));
    const [own, made] = [await stat(file('a')), await stat(file('b'))];
    assert.deepEqual([made.uid, made.gid, made.mode], [own.uid, own.gid, own.mode]);
  });

  test('makes the subdirectories it needs, as the directory they are in', async (t) => {
    const { source, directory } = await started(t, { depth: 2 });
    await source.install('abc', session('one'));
    const [root, below] = [await stat(directory), await stat(join(directory, 'a', 'b'))];
    assert.deepEqual([below.uid, below.mode], [root.uid, root.mode]);
    assert.ok((await stat(join(directory, 'a', 'b', 'sess_abc'))).isFile());
  });

  test('has what the app appends while it is open, in the same file', async (t) => {
    const { source, write, file } = await started(t);
    await write('a', 'old');
    await using app = await open(file('a'), 'r+');
    await source.install('a', session('installed'));
    await app.write('INSTALLED', 0);
    assert.equal(Buffer.from((await source.capture('a'))?.data ?? []).toString(), 'INSTALLED');
    await appendFile(file('a'), '!');
    assert.equal((await source.capture('a'))?.data.length, 10);
  });

  test('cannot have an ID that is no file name', async (t) => {
    const { source } = await started(t);
    for (const id of ['', '../a', 'a/b', 'a.b', 'x'.repeat(257)]) {
      await assert.rejects(source.install(id, session('x')), failed);
      assert.equal(await source.capture(id), undefined);
      await source.forget(id);
      await source.refresh(id);
    }
  });

  test('may be an emptied session', async (t) => {
    const { source } = await started(t);
    await source.install('a', session(''));
    assert.equal((await source.capture('a'))?.data.length, 0);
  });
});

test('a source that has stopped tells of nothing more', async (t) => {
  const { source, listener, write } = await started(t, { scanInterval: 50 });
  await write('a', 'one');
  await listener.heard('changed', 'a');
  await source.stop();
  const told = listener.events.length;
  await write('b', 'two');
  await setTimeout(200);
  assert.equal(listener.events.length, told);
  await assert.rejects(source.list(), failed);
});
