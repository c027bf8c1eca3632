import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { processCpuMicros } from './process-cpu.ts';

const BUSY = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done';

test('what a child used stays counted when it has ended', async (t) => {
  const shell = spawn('sh', ['-c', `sh -c '${BUSY}'; echo ended; read -r rest`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => shell.kill('SIGKILL'));
  await once(shell.stdout, 'data');
  assert.ok(processCpuMicros(shell.pid ?? 0) > 0);
});

test('a process that is gone is no process without CPU time', () => {
  const pid = Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
  assert.throws(() => processCpuMicros(pid), { code: 'ENOENT' });
});
