import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { pino } from 'pino';
import { SqliteSnapshotStore } from '../../store/sqlite/sqlite-snapshot-store.ts';
import { snapshotStoreContract } from './snapshot-store.ts';

const directory = await mkdtemp(join(tmpdir(), 'stickshift-sqlite-'));
after(() => rm(directory, { recursive: true, force: true }));

snapshotStoreContract('SQLite', { skip: false }, async () => {
  const store = await SqliteSnapshotStore.open({
    path: join(directory, 'sessions.sqlite'),
    commandTimeout: 5_000,
    settle: 5_000,
    installation: 'test',
    logger: pino({ level: 'silent' }),
  });
  return { store, close: () => store.close() };
});
