import type { Stats } from 'node:fs';
import { StickshiftError } from '../../../protocol/errors.ts';
import type { Owner } from './session-file.ts';

const PRIVATE = 0o600;
const WORLD_WRITABLE = 0o002;

/**
 * Decides whose a new session file is. PHP cannot open one of another user, and goes on with an empty session.
 *
 * @param configured - `uid:gid` from the configuration
 * @param sample - owner of a session file that the app made
 * @param directory - the directory that the file goes to
 * @param ownUid - user of this process
 */
export function ownerOfNewFile(
  configured: string | undefined,
  sample: Owner | undefined,
  directory: Pick<Stats, 'uid' | 'gid' | 'mode'>,
  ownUid: number,
): Owner {
  if (configured !== undefined) {
    const [uid, gid] = configured.split(':').map(Number) as [number, number];
    return { uid, gid, mode: sample?.mode ?? PRIVATE };
  }
  if (sample) return sample;
  // Nobody but root can give files away, so the agent runs as the app's user, or it could not read the files either.
  if (ownUid !== 0) return { uid: ownUid, gid: directory.gid, mode: PRIVATE };
  if (directory.uid === 0 && (directory.mode & WORLD_WRITABLE) !== 0) {
    throw new StickshiftError(
      'SOURCE_FAILED',
      'nothing tells the app’s user: the session directory is root’s and open to all, and has no session in it yet; set `owner`',
    );
  }
  return { uid: directory.uid, gid: directory.gid, mode: PRIVATE };
}
