import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lockBefore } from './flock.ts';
import { isRunning, lockHolder, readLocks } from './lock-holder.ts';

describe('who has a file locked', () => {
  const LOCKS = [
    '1: FLOCK  ADVISORY  WRITE 8858 fe:00:1507764 0 EOF',
    '1: -> FLOCK  ADVISORY  WRITE 8859 fe:00:1507764 0 EOF',
    '2: POSIX  ADVISORY  WRITE 77 fe:00:42 0 EOF',
    '3: FLOCK  ADVISORY  READ  78 fe:00:43 0 EOF',
    '4: FLOCK  ADVISORY  WRITE 0 fe:00:44 0 EOF',
    '5: FLOCK  ADVISORY  WRITE 80 fe:00:45 0 EOF',
    '6: FLOCK  ADVISORY  WRITE 81 fe:01:45 0 EOF',
    '',
  ].join('\n');

  test('is the process that holds it, not one that waits for it', () => {
    assert.equal(lockHolder(1507764n, LOCKS), 8858);
  });

  test('is not known of another kind of lock, another container, or two file systems', () => {
    for (const ino of [42n, 43n, 44n, 45n, 46n, 150776n]) assert.equal(lockHolder(ino, LOCKS), undefined);
    assert.equal(lockHolder(1507764n, ''), undefined);
  });

  test('is told by this kernel', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stickshift-lock-'));
    const file = await open(join(directory, 'locked'), 'w');
    try {
      assert.ok(await lockBefore(performance.now(), file.fd, 'exclusive'));
      const { ino } = await file.stat({ bigint: true });
      assert.equal(lockHolder(ino, await readLocks()), process.pid);
    } finally {
      await file.close();
      await rm(directory, { recursive: true });
    }
  });

  test('runs until it is killed, also before it is buried', async () => {
    assert.equal(await isRunning(process.pid), true);
    // Its parent never asks how it ended.
    const parent = spawn('sh', ['-c', 'sleep 600 & echo $!; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const child = Number(line.toString());
    assert.equal(await isRunning(child), true);
    process.kill(child, 'SIGKILL');
    while (await isRunning(child)) await new Promise(setImmediate);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    assert.equal(await isRunning(parent.pid ?? 0), false);
  });
});
