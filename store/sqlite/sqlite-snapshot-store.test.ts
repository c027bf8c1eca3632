import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pino } from 'pino';
import type { SessionKey } from '../../protocol/session-key.ts';
import { eventually } from '../../test/services/eventually.ts';
import { DatabaseFile } from './database-file.ts';
import { Purge } from './purge.ts';
import { SqliteSnapshotStore } from './sqlite-snapshot-store.ts';

const logger = pino({ level: 'silent' });
const key = 'a'.repeat(43) as SessionKey;

let directory: string;
let path: string;
const stores: { close(): unknown }[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stickshift-sqlite-'));
  path = join(directory, 'sessions.sqlite');
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(file = path, commandTimeout = 2_000): Promise<SqliteSnapshotStore> {
  const store = await SqliteSnapshotStore.open({
    path: file,
    commandTimeout,
    settle: 5_000,
    installation: 'test',
    logger,
  });
  stores.push(store);
  return store;
}

function raw(): DatabaseSync {
  const database = new DatabaseSync(path);
  stores.push(database);
  return database;
}

const commit = (seq: number, idleAt = Date.now() + 60_000) => ({
  owner: 'app-1',
  epoch: 1,
  seq,
  snapshot: new Uint8Array([1]),
  deadlines: { idleAt, absoluteAt: undefined },
});

describe('an SQLite store', () => {
  test('makes its directory, for its own user only, and keeps records from one opening to the next', async () => {
    const file = join(directory, 'state', 'deep', 'sessions.sqlite');
    const store = await open(file);
    assert.equal((await stat(join(directory, 'state'))).mode & 0o777, 0o700);
    await store.commit(key, commit(3));
    await store.close();
    assert.equal((await (await open(file)).lookup(key))?.seq, 3);
  });

  test('can be opened by many at once on a new file', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => open()));
    for (const [index, store] of opened.entries()) {
      assert.deepEqual(await store.commit(key, commit(index + 1)), { outcome: 'committed' });
    }
  });

  test('refuses what is not a file of its own', async () => {
    await writeFile(path, 'This is no database, but long enough to look like one. '.repeat(50));
    await assert.rejects(open(), { code: 'STORE_INVALID', message: /sessions\.sqlite.*not a database/ });
  });

  test('refuses the database of another program and leaves it alone', async () => {
    const other = raw();
    other.exec('CREATE TABLE invoices (id INTEGER)');
    await assert.rejects(open(), { code: 'STORE_INVALID', message: /another program/ });
    assert.equal(other.prepare('PRAGMA journal_mode').get()?.journal_mode, 'delete');
    assert.equal(other.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'records'").get()?.n, 0);
  });

  test('refuses the file of a newer version and leaves it alone', async () => {
    await (await open()).close();
    raw().exec('PRAGMA user_version = 3');
    await assert.rejects(open(), { code: 'STORE_INVALID', message: /schema version 3.*newer/ });
  });

  test('refuses a path that cannot be a file', async () => {
    await mkdir(path);
    await assert.rejects(open(), { code: 'STORE_REFUSED', message: /sessions\.sqlite/ });
    await writeFile(join(directory, 'plain'), '');
    await assert.rejects(open(join(directory, 'plain', 'sessions.sqlite')), { code: 'STORE_REFUSED' });
    for (const none of ['', ':memory:']) {
      await assert.rejects(open(none), { code: 'CONFIG_INVALID' });
    }
  });

  test('waits for another process’s lock without holding up the event loop', async () => {
    const store = await open(path, 30_000);
    const other = raw();
    other.exec('BEGIN IMMEDIATE');
    const waiting = store.commit(key, commit(1));
    // If the wait blocked, this timer would never run and the lock never be given back.
    setTimeout(() => other.exec('COMMIT'), 50);
    assert.deepEqual(await waiting, { outcome: 'committed' });
  });

  test('gives up on a lock in the end, with nothing done; reading needs none', async () => {
    const store = await open(path, 50);
    await store.commit(key, commit(1));
    const other = raw();
    other.exec('BEGIN IMMEDIATE');
    await assert.rejects(store.commit(key, commit(2)), { code: 'STORE_UNREACHABLE', retrySafe: true });
    await assert.rejects(store.check(), { code: 'STORE_UNREACHABLE' });
    assert.equal((await store.read(key))?.seq, 1);
    other.exec('COMMIT');
    assert.deepEqual(await store.commit(key, commit(2)), { outcome: 'committed' });
  });

  test('leaves no transaction open after a failure', async () => {
    const store = await open();
    await assert.rejects(store.commit(key, commit(Number.NaN)), { code: 'INTERNAL' });
    assert.deepEqual(await store.commit(key, commit(1)), { outcome: 'committed' });
  });

  test('reports a damaged file', async () => {
    const store = await open();
    await store.commit(key, commit(1));
    raw().exec('DROP TABLE records');
    await assert.rejects(store.lookup(key), { code: 'STORE_INVALID', message: /no such table/ });
  });

  test('skips a malformed announcement', async () => {
    const store = await open();
    raw().exec(`INSERT INTO announcements VALUES ('shop', 'app-1', 'a', '{"id":', ${Date.now() + 60_000})`);
    assert.deepEqual(await store.backends(), []);
  });

  test('rejects when it is closed', async () => {
    const store = await open();
    await store.close();
    await store.close();
    await assert.rejects(store.lookup(key), { code: 'STORE_UNREACHABLE', message: /closed/ });
  });
});

describe('an SQLite file', () => {
  const quick = (changes: object = {}) => {
    const options = { path, commandTimeout: 2_000, settle: 1_000, installation: 'test', logger, ...changes };
    return SqliteSnapshotStore.open(options).then((store) => {
      stores.push(store);
      return store;
    });
  };
  /** Puts another file, or none, in the place of the one that processes have open: at once, for they look now and then. */
  const swap = (other?: string) => {
    for (const each of [`${path}-wal`, `${path}-shm`, path]) rmSync(each, { force: true });
    if (other !== undefined) renameSync(other, path);
  };
  /** How often settling began. */
  const begun = (store: SqliteSnapshotStore) => {
    const counter = { count: 0 };
    store.onSettling(() => counter.count++);
    return counter;
  };

  test('that is new does not settle, nor one that is opened again', async () => {
    assert.equal((await quick()).settlingMs, 0);
    assert.equal((await quick()).settlingMs, 0);
  });

  for (const [what, copies] of [
    ['removed', false],
    ['replaced by an older copy', true],
  ] as const) {
    test(`that is ${what} under running processes is opened anew by each, and settles`, async () => {
      const members = [await quick(), await quick()] as const;
      const counts = members.map(begun);
      raw().exec('PRAGMA wal_checkpoint(TRUNCATE)');
      await copyFile(path, `${path}.copy`);
      await members[0].commit(key, commit(1));
      swap(copies ? `${path}.copy` : undefined);
      await eventually('both know', () => counts.every(({ count }) => count > 0));
      assert.deepEqual(
        counts.map(({ count }) => count),
        [1, 1],
      );
      assert.ok(members.some((store) => store.settlingMs > 0));
      assert.deepEqual(await members[0].commit(key, commit(2)), { outcome: 'committed' });
      assert.equal((await members[1].lookup(key))?.seq, 2, 'both work on one file again');
      await eventually('it is over', () => members.every((store) => store.settlingMs === 0));
    });
  }

  test('of another installation is refused, also when it takes the place of ours', async () => {
    const ours = await quick();
    await assert.rejects(quick({ installation: 'another' }), {
      code: 'STORE_FOREIGN',
      message: /sessions\.sqlite.*fingerprint test.*another/,
    });
    const theirs = join(directory, 'theirs.sqlite');
    await (await quick({ path: theirs, installation: 'another' })).close();
    swap(theirs);
    const refused = await eventually('it is noticed', () =>
      ours.lookup(key).then(
        () => undefined,
        (error) => error,
      ),
    );
    assert.equal(refused.code, 'STORE_FOREIGN');
    await assert.rejects(ours.commit(key, commit(1)), { code: 'STORE_FOREIGN' });
  });

  test('that forgot some of what was taken says so to a watcher that fell behind', async () => {
    const store = await open();
    const heard = { keys: [] as string[], missed: 0 };
    const watching = store.watchTaken('app-1', {
      taken: (keys) => heard.keys.push(...keys),
      missed: () => heard.missed++,
    });
    await eventually('it begins', () => watching.heardUntil > 0);
    await store.commit(key, commit(1));
    const file = raw();
    file.exec(`
      BEGIN;
      INSERT INTO taken (owner, key) VALUES ('app-1', 'one that is forgotten'), ('app-1', 'kept');
      DELETE FROM taken WHERE key = 'one that is forgotten';
      COMMIT`);
    await eventually('it says so', () => heard.missed === 2);
    await store.adopt(key, { owner: 'app-2', ifEpoch: 1 });
    await eventually('the next one is told', () => heard.keys.length > 0);
    assert.deepEqual([heard.keys, heard.missed], [[key], 2]);
    watching.stop();
  });

  test('has no replicas to wait for', async () => {
    const store = await open();
    await assert.rejects(store.commit(key, { ...commit(1), replicas: 1 }), { code: 'STORE_REFUSED' });
    assert.equal(await store.lookup(key), undefined);
  });

  test('of the first version is brought up to date, and keeps its records', async () => {
    const store = await open();
    await store.commit(key, commit(3));
    await store.close();
    const file = raw();
    file.exec(`
      DROP TABLE announcements; DROP TABLE backend_states; DROP TABLE taken; DROP TABLE meta;
      CREATE TABLE announcements
        (id TEXT PRIMARY KEY, announcement TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT;
      PRAGMA user_version = 1`);
    const updated = await open();
    assert.equal((await updated.lookup(key))?.seq, 3);
    assert.deepEqual(await updated.backends(), []);
    assert.deepEqual(await updated.backendStates('shop'), []);
  });
});

describe('the purge', () => {
  test('removes expired rows in batches and leaves the others', async () => {
    const store = await open();
    const count = 450;
    for (let index = 0; index < count; index++) {
      await store.commit(String(index).padStart(43, 'k') as SessionKey, commit(1, 1));
    }
    await store.commit(key, commit(1));
    const file = await DatabaseFile.open(path, 2_000);
    const purge = new Purge(file, logger);
    stores.push(file);
    purge.stop();

    const batches: number[] = [];
    do batches.push(await purge.batch());
    while (batches.at(-1) !== 0);
    assert.ok(batches.length > 2, 'in several transactions');
    assert.equal(
      batches.reduce((sum, each) => sum + each, 0),
      count,
    );
    assert.equal(raw().prepare('SELECT count(*) AS n FROM records').get()?.n, 1);
    assert.ok(await store.lookup(key));
  });
});
