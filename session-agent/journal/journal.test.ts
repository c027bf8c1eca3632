import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { StickshiftError } from '../../protocol/errors.ts';
import type { SessionKey } from '../../protocol/session-key.ts';
import { keyOf, until } from '../testing/agent-under-test.ts';
import {
  closeJournal,
  journalDirectory,
  type LogLine,
  logInto,
  openJournal,
} from '../testing/journal-under-test.ts';
import type { JournaledSnapshot } from './entry.ts';
import type { Journal } from './journal.ts';

function snapshot(id: string, text: string, seq = 1): JournaledSnapshot {
  return {
    kind: 'snapshot',
    key: keyOf(id),
    epoch: 3,
    seq,
    deadlines: { idleAt: 2_000_000_000_000, absoluteAt: undefined },
    proven: true,
    doubt: undefined,
    snapshot: Buffer.from(text),
  };
}

async function textOf(journal: Journal, id: string): Promise<string | undefined> {
  const entry = await journal.read(keyOf(id));
  return entry?.kind === 'snapshot' ? Buffer.from(entry.snapshot).toString() : entry?.kind;
}

function fileOf(directory: string): string {
  return join(directory, 'journal');
}

function refused(code: string, message = /./) {
  return (error: unknown) =>
    error instanceof StickshiftError && error.code === code && message.test(error.message);
}

test('what was appended is there after a restart, the newest of each session', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  await journal.append(snapshot('alice', 'one pear'));
  await Promise.all([
    journal.append(snapshot('bob', 'a plum')),
    journal.append(snapshot('alice', 'two pears', 2)),
  ]);
  await journal.append({ kind: 'logout', key: keyOf('carol'), epoch: 1, until: 5 });
  await closeJournal(journal);

  const { journal: again } = await openJournal(directory);
  assert.equal(await textOf(again, 'alice'), 'two pears');
  assert.equal(await textOf(again, 'bob'), 'a plum');
  assert.deepEqual(await again.read(keyOf('alice')), snapshot('alice', 'two pears', 2));
  assert.equal(await textOf(again, 'carol'), 'logout');
  assert.deepEqual(again.counts, { snapshot: 2, logout: 1, tombstone: 0 });
});

test('what was settled is not there after a restart', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  for (const id of ['alice', 'bob']) await journal.append(snapshot(id, 'a pear'));
  journal.settle(keyOf('alice'));
  await closeJournal(journal);
  const { journal: again } = await openJournal(directory);
  assert.deepEqual(again.outstanding(), [keyOf('bob')]);
});

test('what is settled while it is being appended is settled, and what is appended after that is not', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  const appended = ['alice', 'bob'].map((id) => journal.append(snapshot(id, 'a pear')));
  for (const id of ['alice', 'bob']) journal.settle(keyOf(id));
  appended.push(journal.append(snapshot('bob', 'two pears', 2)));
  await Promise.all(appended);
  await until(() => journal.outstanding().length === 1);
  assert.equal(await textOf(journal, 'bob'), 'two pears');
  await closeJournal(journal);
  const { journal: again } = await openJournal(directory);
  assert.deepEqual(again.outstanding(), [keyOf('bob')]);
  assert.equal(await textOf(again, 'bob'), 'two pears');
});

test('tombstones that stand come back with the journal', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  journal.note({ kind: 'tombstone', key: keyOf('alice'), until: 7 });
  await closeJournal(journal);
  const { journal: again, tombstones } = await openJournal(directory);
  assert.deepEqual(tombstones, [{ kind: 'tombstone', key: keyOf('alice'), until: 7 }]);
  assert.deepEqual(again.outstanding(), [], 'nothing is to be brought to the store for them');
});

test('the file is emptied when nothing is outstanding', async () => {
  const { journal } = await openJournal(journalDirectory());
  await journal.append(snapshot('alice', ''));
  const before = journal.bytes;
  for (let seq = 0; seq < 50; seq++) await journal.append(snapshot('alice', 'x'.repeat(1000), seq));
  assert.ok(journal.bytes > 50_000);
  journal.settle(keyOf('alice'));
  await until(() => journal.bytes < before);
});

test('many at once, each one after the other, all get their answer', async () => {
  const { journal } = await openJournal(journalDirectory());
  const append = async (id: string) => {
    for (let seq = 1; seq <= 20; seq++) await journal.append(snapshot(id, `${seq}`, seq));
  };
  await Promise.all(Array.from({ length: 50 }, (_, index) => append(`session ${index}`)));
  assert.equal(journal.counts.snapshot, 50);
  assert.equal(await textOf(journal, 'session 7'), '20');
});

test('a session that changes over and over does not fill the journal', async () => {
  const directory = journalDirectory();
  const size = 64 * 1024;
  const { journal } = await openJournal(directory, { size });
  for (const id of ['kept', 'logged out']) await journal.append(snapshot(id, id));
  for (let seq = 0; seq < 300; seq++) {
    await journal.append(snapshot('alice', `${seq} ${'x'.repeat(2000)}`, seq));
    assert.ok(statSync(fileOf(directory)).size <= size);
  }
  await closeJournal(journal);
  const { journal: again } = await openJournal(directory, { size });
  assert.match((await textOf(again, 'alice')) ?? '', /^299 /);
  assert.equal(await textOf(again, 'kept'), 'kept');
});

test('a full journal refuses what is new, and takes it when there is room again', async () => {
  const { journal } = await openJournal(journalDirectory(), { size: 64 * 1024 });
  const taken: string[] = [];
  await assert.rejects(async () => {
    for (let count = 0; ; count++) {
      await journal.append(snapshot(`session ${count}`, 'x'.repeat(2000)));
      taken.push(`session ${count}`);
    }
  }, refused('JOURNAL_FULL'));
  assert.ok(taken.length > 5);
  assert.equal(journal.failures, 1);
  await journal.append(snapshot('session 0', 'y'.repeat(2000)));
  journal.settle(keyOf('session 1'));
  await journal.append(snapshot('one more', 'x'.repeat(2000)));
});

test('neither strangers nor session IDs: the files are the user’s alone and name no session', async () => {
  const directory = join(journalDirectory(), 'made');
  const { journal } = await openJournal(directory);
  await journal.append(snapshot('alice', 'sealed'));
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const file of readdirSync(directory)) {
    assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
    assert.ok(!readFileSync(join(directory, file)).includes('alice'));
  }
});

test('cut anywhere, the journal keeps every entry before the cut, and goes on', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  const ends: number[] = [];
  const ids = ['alice', 'bob', 'carol'];
  for (const id of ids) {
    await journal.append(snapshot(id, `cart of ${id}`));
    ends.push(journal.bytes);
  }
  await closeJournal(journal);
  const whole = readFileSync(fileOf(directory));

  await fc.assert(
    fc.asyncProperty(fc.integer({ min: ends[0] ?? 0, max: whole.length - 1 }), async (cut) => {
      writeFileSync(fileOf(directory), whole);
      truncateSync(fileOf(directory), cut);
      const log: LogLine[] = [];
      const { journal: again } = await openJournal(directory, { logger: logInto(log) });
      const kept = ids.filter((_, index) => (ends[index] ?? 0) <= cut);
      assert.deepEqual(again.outstanding(), kept.map(keyOf));
      assert.equal(log.filter(({ level }) => level === 40).length, ends.includes(cut) ? 0 : 1);
      await again.append(snapshot('dora', 'a plum'));
      await closeJournal(again);
      const { journal: later } = await openJournal(directory);
      assert.deepEqual(later.outstanding(), [...kept, 'dora'].map(keyOf));
      await closeJournal(later);
    }),
    { numRuns: 40 },
  );
});

test('damage in the middle costs what it hit; the file is kept aside', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  await journal.append(snapshot('alice', 'a pear'));
  const at = journal.bytes;
  for (const id of ['bob', 'carol']) await journal.append(snapshot(id, 'a pear'));
  await closeJournal(journal);
  const bytes = readFileSync(fileOf(directory));
  bytes[at + 30] = (bytes[at + 30] ?? 0) ^ 1;
  writeFileSync(fileOf(directory), bytes);

  const log: LogLine[] = [];
  const { journal: again } = await openJournal(directory, { logger: logInto(log) });
  assert.deepEqual(again.outstanding(), ['alice', 'carol'].map(keyOf));
  const error = log.find(({ level }) => level === 50);
  assert.match(error?.msg ?? '', /damaged/);
  assert.deepEqual(readFileSync(error?.aside ?? ''), bytes);
  await closeJournal(again);
  const { journal: later } = await openJournal(directory);
  assert.deepEqual(later.outstanding(), ['alice', 'carol'].map(keyOf), 'and the new file is whole');
});

test('a damaged beginning does not cost the entries', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  await journal.append(snapshot('alice', 'a pear'));
  await closeJournal(journal);
  const bytes = readFileSync(fileOf(directory));
  bytes.fill(0, 0, 30);
  writeFileSync(fileOf(directory), bytes);
  const { journal: again } = await openJournal(directory);
  assert.deepEqual(again.outstanding(), [keyOf('alice')]);
});

test('the journal of a later release is refused, and left alone', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  await journal.append(snapshot('alice', 'a pear'));
  await closeJournal(journal);
  const bytes = readFileSync(fileOf(directory));
  bytes.writeUInt16BE(2, 16);
  writeFileSync(fileOf(directory), bytes);
  await assert.rejects(openJournal(directory), refused('JOURNAL_INVALID', /later release/));
  assert.deepEqual(readFileSync(fileOf(directory)), bytes);
});

for (const [whose, owner, message] of [
  ['backend', { backend: 'app-2', realm: keyOf('\0journal') }, /backend app-1, not of app-2/],
  ['secret', { backend: 'app-1', realm: 'another' }, /another secret/],
] as const) {
  test(`the journal of another ${whose} is refused`, async () => {
    const directory = journalDirectory();
    const { journal } = await openJournal(directory);
    await journal.append(snapshot('alice', 'a pear'));
    await closeJournal(journal);
    await assert.rejects(openJournal(directory, { owner }), refused('JOURNAL_INVALID', message));
  });
}

test('one agent at a time has the directory', async () => {
  const directory = journalDirectory();
  const { journal } = await openJournal(directory);
  await assert.rejects(openJournal(directory), refused('JOURNAL_INVALID', /another agent/));
  await closeJournal(journal);
  await openJournal(directory);
});

test('a directory that cannot be made keeps the agent from starting', async () => {
  const file = join(journalDirectory(), 'file');
  writeFileSync(file, '');
  await assert.rejects(openJournal(join(file, 'journal')), refused('JOURNAL_FAILED', /cannot be opened/));
});

/** Appends until the disk is full, frees room, and appends again; in a process that may write only so much to a file. */
const ON_A_FULL_DISK = `
  import pino from 'pino';
  import { Journal } from ${JSON.stringify(new URL('./journal.ts', import.meta.url).href)};
  const [directory] = process.argv.slice(1);
  const { journal } = await Journal.open({
    directory, size: 10_000_000, owner: { backend: 'app-1', realm: 'r' }, logger: pino({ enabled: false }),
  });
  const entry = (key, size) => ({
    kind: 'snapshot', key: key.padEnd(43, '_'), epoch: 1, seq: 1, proven: true, doubt: undefined,
    deadlines: { idleAt: 9_999_999_999_999, absoluteAt: undefined }, snapshot: Buffer.alloc(size, 1),
  });
  let kept = 0;
  let code;
  for (; code === undefined && kept < 1000; ) {
    await journal.append(entry('key' + kept, 500)).then(() => kept++, (error) => { code = error.code; });
  }
  const full = { kept, code, failures: journal.failures, bytes: journal.bytes };
  // Room on the disk, as far as this journal is concerned: what is outstanding gets less.
  for (let each = 0; each < kept - 1; each++) journal.settle(('key' + each).padEnd(43, '_'));
  for (let isKept = false; !isKept; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    isKept = await journal.append(entry('again', 500)).then(() => true, () => false);
  }
  await journal.close();
  console.log(JSON.stringify(full));
`;

test('on a full disk entries are refused, none of the others suffers, and it goes on when there is room', async () => {
  const directory = journalDirectory();
  // 16 KiB to a file. Ignored, the signal becomes an error of the write.
  const { stdout } = await promisify(execFile)(
    'sh',
    [
      '-c',
      `trap '' XFSZ; ulimit -f 32; exec "$0" --input-type=module-typescript -e "$1" "$2"`,
      ...[process.execPath, ON_A_FULL_DISK, directory],
    ],
    { timeout: 50_000 },
  );
  const full = JSON.parse(stdout) as { kept: number; code: string; failures: number; bytes: number };
  assert.equal(full.code, 'JOURNAL_FAILED');
  assert.ok(full.kept > 10 && full.failures === 1);
  const { journal } = await openJournal(directory, { owner: { backend: 'app-1', realm: 'r' } });
  const padded = (key: string) => key.padEnd(43, '_') as SessionKey;
  assert.deepEqual(journal.outstanding(), [padded(`key${full.kept - 1}`), padded('again')]);
});
