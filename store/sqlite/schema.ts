import type { DatabaseSync } from 'node:sqlite';
import { StickshiftError } from '../../protocol/errors.ts';

/** "STKS", kept in the file's header: tells our files from other programs' databases. */
const APPLICATION_ID = 0x53544b53;
const SCHEMA_VERSION = 2;

/*
 * `expires_at` is the earlier deadline, kept for the index that the purge walks. The snapshot is the last column, so
 * that reading the others does not walk its overflow pages.
 */
const RECORDS = `
  CREATE TABLE records (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('active', 'released', 'ended')),
    owner TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    idle_at INTEGER NOT NULL,
    absolute_at INTEGER,
    expires_at INTEGER NOT NULL,
    snapshot BLOB NOT NULL
  ) STRICT;
  CREATE INDEX records_by_expiry ON records (expires_at);
`;

/** What announcements hold is said again every few seconds; so version 1's, which knew no applications, are dropped. */
const REST = `
  DROP TABLE IF EXISTS announcements;
  CREATE TABLE announcements (
    application TEXT NOT NULL,
    id TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    announcement TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (application, id)
  ) STRICT;

  CREATE TABLE backend_states (
    application TEXT NOT NULL,
    backend TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'drain', 'maintenance')),
    deadline_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (application, backend)
  ) STRICT;

  CREATE TABLE taken (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    key TEXT NOT NULL
  ) STRICT;

  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;

  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Creates the tables in an empty file, brings version 1 up to date, and refuses a file that is not ours.
 *
 * @throws StickshiftError `STORE_INVALID`
 */
export function prepareSchema(database: DatabaseSync): void {
  if (versionOf(database) === SCHEMA_VERSION) return;
  // Several processes start at once on a new file: look again under the write lock.
  database.exec('BEGIN IMMEDIATE');
  try {
    const version = versionOf(database);
    if (version === 0) database.exec(RECORDS);
    if (version !== SCHEMA_VERSION) database.exec(REST);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** 0: the file is empty. */
function versionOf(database: DatabaseSync): number {
  const application = pragma(database, 'application_id');
  const version = pragma(database, 'user_version');
  if (application === APPLICATION_ID) {
    if (typeof version === 'number' && version >= 1 && version <= SCHEMA_VERSION) return version;
    throw new StickshiftError(
      'STORE_INVALID',
      `the file has schema version ${version}; this Stickshift knows ${SCHEMA_VERSION} (was it written by a newer one?)`,
    );
  }
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
  if (application !== 0 || version !== 0 || tables?.count !== 0) {
    throw new StickshiftError('STORE_INVALID', 'the file is the database of another program');
  }
  return 0;
}

function pragma(database: DatabaseSync, name: 'application_id' | 'user_version'): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}
