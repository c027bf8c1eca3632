import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import pino, { type Logger } from 'pino';
import type { JournaledTombstone } from '../journal/entry.ts';
import { Journal, type JournalOptions } from '../journal/journal.ts';
import { keyOf } from './agent-under-test.ts';

const directories = new Set<string>();
const open = new Set<Journal>();

afterEach(async () => {
  for (const journal of open) await journal.close();
  open.clear();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  directories.clear();
});

/** A directory that is removed after the test. */
export function journalDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'stickshift-journal-'));
  directories.add(directory);
  return directory;
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly aside?: string;
}

export function logInto(lines: LogLine[]): Logger {
  return pino({ level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) });
}

/** A journal as app-1's agent opens it. */
export async function openJournal(
  directory: string,
  options: Partial<JournalOptions> = {},
): Promise<{ journal: Journal; tombstones: readonly JournaledTombstone[] }> {
  const opened = await Journal.open({
    directory,
    size: 1024 * 1024,
    owner: { backend: 'app-1', realm: keyOf('\0journal') },
    logger: pino({ enabled: false }),
    ...options,
  });
  open.add(opened.journal);
  return opened;
}

/** What a killed process leaves: the journal as it is, and the lock gone. */
export async function closeJournal(journal: Journal): Promise<void> {
  await journal.close();
  open.delete(journal);
}
