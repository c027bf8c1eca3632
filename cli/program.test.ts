import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DemoModule } from './commands/demo.ts';
import { runCli } from './program.ts';
import { RecordingTerminal } from './testing/recording-terminal.ts';

async function run(...args: string[]) {
  const terminal = new RecordingTerminal();
  return { status: await runCli(args, terminal), stdout: terminal.stdout, stderr: terminal.stderr };
}

test('--help and --version are answers, not errors', async () => {
  const help = await run('--help');
  assert.equal(help.status, 0);
  for (const command of [
    'gateway',
    'agent',
    'status',
    'drain',
    'ready',
    'maintenance',
    'session',
    'config',
    'demo',
  ]) {
    assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
  }
  assert.match((await run('--version')).stdout, /^\d+\.\d+\.\d+/);
});

test('a command line that is wrong ends with status 2 and a word of advice', async () => {
  for (const args of [['drian'], ['drain'], ['status', '--jason'], ['config'], []]) {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.notEqual(stderr, '');
  }
  assert.match((await run('drian')).stderr, /Did you mean drain\?/);
});

test('an error with a code begins with it', async () => {
  const { status, stderr } = await run('config', 'agent-token', '--config', '/nowhere/stickshift.yaml');
  assert.equal(status, 2);
  assert.match(stderr, /^CONFIG_INVALID: there is no \/nowhere\/stickshift\.yaml; name/);
});

test('the demo is what its command takes it for', async () => {
  const demo: DemoModule = await import('../demo/main.ts');
  assert.equal(typeof demo.runDemo, 'function');
});
