import { spawnSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const SIZE = 2 * 1_048_576;

/** A small disk for an agent's journal, which can be filled up. Without the right to mount one, an ordinary directory. */
export class JournalDisk {
  readonly directory: string;
  #mounted = false;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(directory: string): Promise<JournalDisk> {
    const disk = new JournalDisk(directory);
    await mkdir(directory, { recursive: true });
    disk.#mounted =
      spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', directory], { stdio: 'ignore' })
        .status === 0;
    return disk;
  }

  /** Whether {@link fill} has any effect. */
  get canBeFilled(): boolean {
    return this.#mounted;
  }

  async fill(): Promise<void> {
    if (!this.#mounted) return;
    for (let size = SIZE; size >= 1_024; size = Math.floor(size / 2)) {
      await writeFile(join(this.directory, `filler-${size}`), Buffer.alloc(size, 1)).catch(isFull);
    }
  }

  async clear(): Promise<void> {
    for (let size = SIZE; size >= 1_024; size = Math.floor(size / 2)) {
      await rm(join(this.directory, `filler-${size}`), { force: true });
    }
  }

  unmount(): void {
    if (this.#mounted) spawnSync('umount', ['--lazy', this.directory], { stdio: 'ignore' });
    this.#mounted = false;
  }
}

/** What was written until then stays, which is what was wanted. */
function isFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}
