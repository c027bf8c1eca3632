import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockBefore } from '../../session-agent/sources/files/flock.ts';

/** Writes a session's file as PHP does: under its lock, and in place. */
export async function writeAsPhp(path: string, data: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a+').then((created) => created.close().then(() => open(path, 'r+')));
  try {
    await lockBefore(performance.now() + 10_000, file.fd, 'exclusive');
    await file.truncate();
    await file.write(data, 0, data.length, 0);
  } finally {
    await file.close();
  }
}
