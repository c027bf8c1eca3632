import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { createFilesSource } from '../../session-agent/sources/files/files-source.ts';
import { writeAsPhp } from '../services/php-session-file.ts';
import { type AppUnderTest, sessionSourceContract } from './session-source.ts';

const LIFETIME = 1_440_000;
const logger = pino({ level: 'silent' });

interface Layout {
  readonly format: 'php' | 'generic';
  readonly pattern: string;
  readonly depth: number;
  readonly write: (path: string, data: Uint8Array) => Promise<void>;
}

async function writeAndRename(path: string, data: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  await writeFile(temporary, data);
  await rename(temporary, path);
}

function contractOf(name: string, layout: Layout): void {
  sessionSourceContract(name, { skip: false }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stickshift-files-'));
    const { format, pattern, depth } = layout;
    const source = createFilesSource(
      { type: 'files', format, directory, depth, pattern, lifetime: LIFETIME, scanInterval: 30_000 },
      logger,
      { lockTimeout: 10_000 },
    );
    const pathOf = (id: string) => join(directory, ...id.slice(0, depth), pattern.replace('{id}', id));
    const app: AppUnderTest = {
      lifetime: LIFETIME,
      newId: () => randomBytes(16).toString('hex'),
      content: (text) => Buffer.from(`text|s:${Buffer.byteLength(text)}:"${text}";`),
      write: (id, data) => layout.write(pathOf(id), data),
      touch: (id) => utimes(pathOf(id), new Date(), new Date(Date.now() + 5)),
      read: (id) =>
        readFile(pathOf(id)).catch((error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return undefined;
          throw error;
        }),
      logOut: (id) => unlink(pathOf(id)),
      changeId: async (id, successor, data) => {
        await unlink(pathOf(id));
        await layout.write(pathOf(successor), data);
      },
      saysWhy: false,
    };
    return {
      source,
      app,
      close: async () => {
        await source.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  });
}

contractOf('files, as PHP writes them', {
  format: 'php',
  pattern: 'sess_{id}',
  depth: 0,
  write: writeAsPhp,
});
contractOf('files, as PHP writes them to subdirectories', {
  format: 'php',
  pattern: 'sess_{id}',
  depth: 2,
  write: writeAsPhp,
});
contractOf('files, written aside and renamed', {
  format: 'generic',
  pattern: '{id}.json',
  depth: 0,
  write: writeAndRename,
});
