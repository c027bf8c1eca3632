import { CLOCK_TICK } from './known-files.ts';
import { isRunning, lockHolder, readLocks } from './lock-holder.ts';
import { type FileContent, mtimeOf, type Stamp, sameStamp } from './session-file.ts';

/**
 * How somebody let go of a session's lock while this process waited for it. PHP writes the session before it does, or, when
 * nothing has changed, sets the file's time; one that is killed does neither. Nor does a request that has only read the
 * session (`read_and_close`, `session_abort()`), or one that leaves an empty session empty: but those live on.
 */
export class ReleasedLock {
  readonly #before: Stamp;
  readonly #seenAt: number;
  #holder: number | 'nobody' | 'unknown' = 'nobody';

  /** @param seenAt - when `before` was looked at, milliseconds since 1970 */
  constructor(before: Stamp, seenAt: number) {
    this.#before = before;
    this.#seenAt = seenAt;
  }

  /** Somebody has the lock. */
  readonly onHeld = async (): Promise<void> => {
    this.#holder = lockHolder(this.#before.ino, await readLocks()) ?? 'unknown';
  };

  /** Whether the one who had it died, and what it had to write is lost. */
  async isOfTheDead(after: FileContent): Promise<boolean> {
    if (this.#holder === 'nobody' || !sameStamp(this.#before, after.stamp)) return false;
    if (this.#holder !== 'unknown') return !(await isRunning(this.#holder));
    // What cannot be seen is taken for dead, where the living leave a trace: not in an empty file, nor within a tick of the clock.
    return after.data.length > 0 && mtimeOf(this.#before) + CLOCK_TICK < this.#seenAt;
  }
}
