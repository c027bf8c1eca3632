import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import {
  createFilesSource,
  type FilesSourceOptions,
} from '../../session-agent/sources/files/files-source.ts';
import { RecordingListener } from '../contract/session-source/recording-listener.ts';
import { PhpRequest, phpRequired, phpSettings, startPhpServer } from '../services/php.ts';

const LIFETIME = 1_440_000;
/** By then a lock that is waited for has been looked at, milliseconds. */
const LOCK_NOTICED = 500;
const REGENERATED_LOGOUT =
  "$_SESSION = []; session_regenerate_id(true); pause('locked'); session_write_close();";
const logger = pino({ level: 'silent' });
const text = (data: Uint8Array | undefined) => (data ? Buffer.from(data).toString() : undefined);

/** A PHP application and the agent's source beside it. */
async function application(
  t: TestContext,
  { depth = 0, ...options }: FilesSourceOptions & { readonly depth?: number } = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-php-'));
  const settings = phpSettings(depth > 0 ? `${depth};${directory}` : directory);
  const source = createFilesSource(
    {
      type: 'files',
      format: 'php',
      directory,
      depth,
      pattern: 'sess_{id}',
      lifetime: LIFETIME,
      scanInterval: 600_000,
    },
    logger,
    { lockTimeout: 30_000, ...options },
  );
  const listener = new RecordingListener();
  await source.start(listener);
  t.after(async () => {
    await source.stop();
    await rm(directory, { recursive: true, force: true });
  });
  const request = (id: string, code: string) => new PhpRequest(settings, id, code);
  const file = (id: string) => join(directory, ...id.slice(0, depth), `sess_${id}`);
  return {
    source,
    listener,
    directory,
    settings,
    file,
    request,
    run: (id: string, code: string) => request(id, code).ended(),
  };
}

describe('PHP sessions in files', phpRequired(), () => {
  test('what a request wrote is captured, byte for byte', async (t) => {
    const { source, listener, run, file } = await application(t);
    await run('abc', `$_SESSION['cart'] = ['tea', 'żółw'];`);
    await source.refresh('abc');
    assert.ok(listener.of('abc', 'changed').length > 0);
    const captured = await source.capture('abc');
    assert.equal(text(captured?.data), await readFile(file('abc'), 'utf8'));
    assert.match(text(captured?.data) ?? '', /^cart\|a:2:/);
  });

  test('an installed session is read by PHP on another server', async (t) => {
    const [one, two] = [await application(t), await application(t)];
    await one.run('abc', `$_SESSION['cart'] = ['tea', "a\\0b\\xff"]; $_SESSION['user'] = 7;`);
    const captured = await one.source.capture('abc');
    assert.ok(captured);
    await two.source.install('abc', captured);
    const answer = await two.run(
      'abc',
      `echo json_encode([$_SESSION['user'], bin2hex($_SESSION['cart'][1])]);`,
    );
    assert.deepEqual(JSON.parse(answer), [7, '610062ff']);
  });

  test('a capture in the middle of a request waits for its end', async (t) => {
    const { source, run, request } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    const running = request('abc', `$_SESSION['cart'] = str_repeat('new', 100000); pause('locked');`);
    await running.at('locked');
    const capturing = source.capture('abc');
    running.goOn();
    const captured = await capturing;
    assert.equal(text(captured?.data), `cart|s:300000:"${'new'.repeat(100_000)}";`);
    await running.ended();
  });

  test('refresh in the middle of a request waits for its end, and has told of the change', async (t) => {
    const { source, listener, run, request } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    await source.refresh('abc');
    const told = listener.of('abc', 'changed').length;
    const running = request('abc', `$_SESSION['cart'] = 'new'; pause('locked');`);
    await running.at('locked');
    const refreshing = source.refresh('abc');
    running.goOn();
    await refreshing;
    assert.ok(listener.of('abc', 'changed').length > told);
    assert.equal(text((await source.capture('abc'))?.data), 'cart|s:3:"new";');
    await running.ended();
  });

  test('a session is installed into a file that PHP has open, after PHP, and into the same file', async (t) => {
    const { source, run, request, file } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    const { ino } = await stat(file('abc'));
    const running = request('abc', `$_SESSION['cart'] = 'written meanwhile'; pause('locked');`);
    await running.at('locked');
    const installing = source.install('abc', {
      data: Buffer.from('cart|s:9:"installed";'),
      idleAt: Date.now() + LIFETIME,
    });
    running.goOn();
    await Promise.all([installing, running.ended()]);
    assert.equal((await stat(file('abc'))).ino, ino);
    assert.equal(await run('abc', `echo $_SESSION['cart'];`), 'installed');
  });

  test('PHP that waits for a session to be installed finds it, and its changes are kept', async (t) => {
    const { source, run, request, file } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    const holder = request('abc', `pause('locked');`);
    await holder.at('locked');
    // Opens the file now, and gets its lock when the holder or the agent has finished with it.
    const waiting = request('abc', `$_SESSION['more'] = 'kept';`);
    const installing = source.install('abc', {
      data: Buffer.from('cart|s:9:"installed";'),
      idleAt: Date.now() + LIFETIME,
    });
    holder.goOn();
    await Promise.all([installing, waiting.ended(), holder.ended()]);
    // Whoever came second, the file is whole and the session is the installed one, or the installed one and more.
    assert.match(await readFile(file('abc'), 'utf8'), /^cart\|s:9:"installed";(more\|s:4:"kept";)?$/);
  });

  test('an installed session is as old as it was where it came from', async (t) => {
    const { source, file } = await application(t);
    const idleAt = Date.now() + 600_123;
    await source.install('abc', { data: Buffer.from('a|i:1;'), idleAt });
    const { mtimeMs, mode } = await stat(file('abc'));
    assert.equal(Math.round(mtimeMs), idleAt - LIFETIME);
    assert.equal(mode & 0o777, 0o600);
    assert.equal((await source.capture('abc'))?.idleAt, idleAt);
  });

  test('a request that only reads moves the deadline', async (t) => {
    const { source, listener, run, file } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'tea';`);
    const before = new Date(Date.now() - 60_000);
    await utimes(file('abc'), before, before);
    await source.refresh('abc');
    const told = listener.events.length;
    await run('abc', `echo $_SESSION['cart'];`);
    await source.refresh('abc');
    assert.ok(listener.events.length > told);
    assert.ok(((await source.capture('abc'))?.idleAt ?? 0) > Date.now() + LIFETIME - 60_000);
  });

  test('a session that was started and left empty is none', async (t) => {
    const { source, listener, run, file } = await application(t);
    await run('abc', '');
    assert.equal((await stat(file('abc'))).size, 0);
    await source.refresh('abc');
    assert.equal(await source.capture('abc'), undefined);
    assert.deepEqual(listener.of('abc'), []);
  });

  test('a session that was emptied is saved as empty', async (t) => {
    const { source, run } = await application(t);
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    await run('abc', '$_SESSION = [];');
    assert.equal((await source.capture('abc'))?.data.length, 0);
  });

  test('a session that is empty because PHP died over it is taken away, and nobody has logged out', async (t) => {
    // PHP answers, empties the file, and then writes it; killed before that, it leaves an empty one.
    const { source, listener, run, file } = await application(t, { isAppAlive: async () => false });
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    await truncate(file('abc'));
    await source.refresh('abc');
    assert.equal(await source.capture('abc'), undefined);
    await assert.rejects(stat(file('abc')), { code: 'ENOENT' });
    await source.refresh('abc');
    assert.deepEqual(listener.of('abc', 'ended'), []);
  });

  test('a session that somebody fills while PHP is asked whether it is there is captured as it is then', async (t) => {
    const { source, run, file } = await application(t, {
      isAppAlive: async () => {
        await run('abc', `$_SESSION['user'] = 8;`);
        return false;
      },
    });
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    await truncate(file('abc'));
    await source.refresh('abc');
    assert.equal(text((await source.capture('abc'))?.data), 'user|i:8;');
  });

  test('session_destroy removes the session', async (t) => {
    const { source, listener, run } = await application(t);
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    await run('abc', 'session_destroy();');
    await source.refresh('abc');
    assert.equal(listener.of('abc', 'ended')[0]?.how, 'removed');
  });

  test('session_regenerate_id(true) removes one session and begins another', async (t) => {
    const { source, listener, run } = await application(t);
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    const fresh = await run('abc', 'session_regenerate_id(true); echo session_id();');
    await source.refresh('abc');
    await source.refresh(fresh);
    assert.equal(listener.of('abc', 'ended')[0]?.how, 'removed');
    assert.equal(text((await source.capture(fresh))?.data), 'user|i:7;');
  });

  test('session_regenerate_id(false) leaves the old session as it was', async (t) => {
    const { source, listener, run } = await application(t);
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    const fresh = await run(
      'abc',
      `$_SESSION['user'] = 8; session_regenerate_id(); $_SESSION['user'] = 9; echo session_id();`,
    );
    await source.refresh('abc');
    await source.refresh(fresh);
    assert.deepEqual(listener.of('abc', 'ended'), []);
    assert.equal(text((await source.capture('abc'))?.data), 'user|i:8;');
    assert.equal(text((await source.capture(fresh))?.data), 'user|i:9;');
  });

  test('PHP that dies before it writes the session, while that is waited for, is not believed to have changed nothing', async (t) => {
    const { source, run, request } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    await source.refresh('abc');
    const running = request('abc', `$_SESSION['cart'] = 'answered for'; pause('answered');`);
    await running.at('answered');
    const refreshing = assert.rejects(source.refresh('abc'), { code: 'SOURCE_FAILED', message: /died/ });
    await pause(LOCK_NOTICED);
    await running.kill();
    await refreshing;
    await source.refresh('abc');
    assert.equal(text((await source.capture('abc'))?.data), 'cart|s:3:"old";');
  });

  test('PHP that dies between removing a session and writing the next leaves no doubt that something is missing', async (t) => {
    const { source, listener, run, request, directory } = await application(t);
    await run('abc', `$_SESSION['cart'] = 'old';`);
    await source.refresh('abc');
    const running = request('abc', `session_regenerate_id(true); $_SESSION['user'] = 7; pause('answered');`);
    await running.at('answered');
    const [fresh = ''] = (await readdir(directory)).map((name) => name.slice('sess_'.length));
    const refreshing = assert.rejects(source.refresh(fresh), { code: 'SOURCE_FAILED', message: /died/ });
    await pause(LOCK_NOTICED);
    await running.kill();
    await refreshing;
    await source.refresh('abc');
    assert.equal(listener.of('abc', 'ended')[0]?.how, 'removed');
    await source.install('abc', { data: Buffer.from('cart|s:3:"old";'), idleAt: Date.now() + LIFETIME });
    assert.equal(await run('abc', `echo $_SESSION['cart'];`), 'old');
    assert.equal(await source.capture(fresh), undefined);
  });

  for (const [what, before, code] of [
    ['changes nothing', `$_SESSION['cart'] = 'tea';`, `pause('locked'); session_write_close();`],
    ['thinks better of it', `$_SESSION['cart'] = 'tea';`, `pause('locked'); session_abort();`],
    ['leaves an empty session empty', '', `pause('locked'); session_write_close();`],
    ['empties a session and gives it another ID', `$_SESSION['a'] = 1;`, REGENERATED_LOGOUT],
  ] as const) {
    test(`a request that ${what} and lives on is believed`, async (t) => {
      const { source, run, request, directory } = await application(t);
      await run('abc', before);
      await source.refresh('abc');
      const running = request('abc', `${code} pause('free');`);
      await running.at('locked');
      const [id = ''] = (await readdir(directory)).map((name) => name.slice('sess_'.length));
      const refreshing = source.refresh(id);
      await pause(LOCK_NOTICED);
      running.goOn();
      await refreshing;
      running.goOn();
      await running.ended();
    });
  }

  test('what garbage collection removes has expired', async (t) => {
    const { source, listener, run, file } = await application(t);
    await run('old', `$_SESSION['user'] = 7;`);
    const before = new Date(Date.now() - LIFETIME - 60_000);
    await utimes(file('old'), before, before);
    await source.refresh('old');
    await run('abc', 'session_gc();');
    assert.equal((await listener.heard('ended', 'old')).how, 'expired');
  });

  test('forgetting waits for the request that uses the session', async (t) => {
    const { source, listener, run, request } = await application(t);
    await run('abc', `$_SESSION['user'] = 7;`);
    await source.refresh('abc');
    const running = request('abc', `$_SESSION['user'] = 8; pause('locked');`);
    await running.at('locked');
    const forgetting = source.forget('abc');
    running.goOn();
    await Promise.all([forgetting, running.ended()]);
    assert.deepEqual(listener.of('abc', 'ended'), []);
    assert.equal(await run('abc', `echo count($_SESSION);`), '0');
  });

  test('subdirectories: PHP finds what is installed, and what PHP writes is found', async (t) => {
    const { source, listener, run } = await application(t, { depth: 2 });
    await source.install('abc', { data: Buffer.from('user|i:7;'), idleAt: Date.now() + LIFETIME });
    assert.equal(await run('abc', `echo $_SESSION['user']; $_SESSION['user'] = 8;`), '7');
    await listener.heard('changed', 'abc');
    assert.equal(text((await source.capture('abc'))?.data), 'user|i:8;');
  });

  test('over HTTP, a change is told of once the answer has ended', async (t) => {
    const { source, listener, directory, settings } = await application(t);
    const script = join(directory, 'index.php');
    await writeFile(
      script,
      `<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n']; flush();`,
    );
    const php = await startPhpServer(settings, script);
    t.after(() => php.stop());
    const first = await fetch(php.url);
    assert.equal(await first.text(), '1');
    const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? '';
    const id = cookie.split('=')[1] ?? '';
    for (let n = 2; n <= 20; n += 1) {
      const told = listener.of(id, 'changed').length;
      assert.equal(await (await fetch(php.url, { headers: { cookie } })).text(), String(n));
      await source.refresh(id);
      assert.equal(text((await source.capture(id))?.data), `n|i:${n};`);
      assert.ok(listener.of(id, 'changed').length > told);
    }
  });
});
