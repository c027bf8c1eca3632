import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { keyOf, until } from '../testing/agent-under-test.ts';
import { journalDirectory, openJournal } from '../testing/journal-under-test.ts';
import { Tombstones } from './tombstones.ts';

const LATER = Date.now() + 60_000;
const logger = pino({ level: 'silent' });

test('a logout that the store refuses while it is on its way to the disk does not stay there', async () => {
  const { journal } = await openJournal(journalDirectory());
  const tombstones = new Tombstones(journal, logger);
  const key = keyOf('alice');
  const kept = tombstones.due(key, 1, LATER);
  tombstones.refused(key);
  assert.equal(await kept, true);
  await until(() => journal.outstanding().length === 0);
});

test('a logout that was kept stays until the store has answered', async () => {
  const { journal } = await openJournal(journalDirectory());
  const tombstones = new Tombstones(journal, logger);
  const key = keyOf('alice');
  await tombstones.due(key, 1, LATER);
  assert.deepEqual(journal.outstanding(), [key]);
  tombstones.refused(key);
  assert.deepEqual(journal.outstanding(), []);
});
