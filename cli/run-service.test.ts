import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';

/** Starts the program and lets the test wait for lines of its output. */
function start(t: TestContext, ...args: string[]) {
  const program = join(import.meta.dirname, 'testing', 'service-program.ts');
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const said = async (text: string) => {
    while (!lines.some((line) => line.includes(text))) await once(reader, 'line');
  };
  return { child, said, exited, lines };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} stops a service gently, with status 0`, async (t) => {
    const { child, said, exited } = start(t, 'gentle');
    await said('started');
    child.kill(signal);
    await said('stopped');
    assert.deepEqual(await exited, [0, null]);
  });
}

test('a second signal ends a service that is still stopping at once', async (t) => {
  const { child, said, exited } = start(t, 'stubborn', '600000');
  await said('started');
  child.kill('SIGINT');
  await said('stopped');
  child.kill('SIGINT');
  await said('asked twice');
  assert.deepEqual(await exited, [1, null]);
});

test('a service that does not stop by its deadline is given up, with status 1', async (t) => {
  const { child, said, exited } = start(t, 'stubborn', '50');
  await said('started');
  child.kill('SIGTERM');
  await said('could not stop in time');
  assert.deepEqual(await exited, [1, null]);
});

test('a signal during the start takes effect when the start is done', async (t) => {
  const { child, said, exited, lines } = start(t, 'slow');
  await said('starting');
  child.kill('SIGTERM');
  child.stdin.write('go on\n');
  assert.deepEqual(await exited, [0, null]);
  assert.ok(lines.includes('started') && lines.includes('stopped'));
});

test('an error that nobody caught is logged and ends the process', async (t) => {
  const { said, exited } = start(t, 'broken');
  await said('nobody caught this');
  assert.deepEqual(await exited, [1, null]);
});
