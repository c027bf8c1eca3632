import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { deriveSecrets } from '../../protocol/secrets.ts';
import { runCli } from '../program.ts';
import { RecordingTerminal } from '../testing/recording-terminal.ts';

const directory = mkdtempSync(join(tmpdir(), 'stickshift-cli-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const good = file(
  'good.yaml',
  `secret: ${'x'.repeat(32)}\nstore: { url: "redis://user:hunter2@redis:6379" }\n`,
);
const bad = file('bad.yaml', 'secret: x\ngatewey: {}\n');

describe('stickshift config check', () => {
  test('sums a good configuration up, without its secrets', async () => {
    const terminal = new RecordingTerminal({ env: { STICKSHIFT_GATEWAY_LISTEN: '127.0.0.1:1' } });
    assert.equal(await runCli(['config', 'check', good], terminal), 0);
    assert.match(terminal.stdout, /good\.yaml is valid\.$/m);
    assert.match(terminal.stdout, /Store +redis:\/\/\*\*\*@redis:6379$/m);
    assert.match(terminal.stdout, /Environment +STICKSHIFT_GATEWAY_LISTEN$/m);
    assert.doesNotMatch(terminal.stdout, /xxx|hunter2/);
  });

  test('says for each pool how many backends it has, its durability, and how many routes differ from it', async () => {
    const terminal = new RecordingTerminal({ env: {} });
    const example = join(import.meta.dirname, '..', '..', 'examples', 'stickshift.yaml');
    assert.equal(await runCli(['config', 'check', example], terminal), 0);
    assert.match(
      terminal.stdout,
      /Pools +shop \(3 backends, ack, 2 routes\), intranet \(2 backends, ack\)$/m,
    );
  });

  test('tells every problem of a bad one and ends with status 2', async () => {
    const terminal = new RecordingTerminal({ env: { STICKSHIFT_CONFIG: bad } });
    assert.equal(await runCli(['config', 'check'], terminal), 2);
    assert.match(terminal.stderr, /bad\.yaml:1:1 {2}secret: expected at least 32/);
    assert.match(terminal.stderr, /bad\.yaml:2:1 {2}gatewey: unknown key \(did you mean "gateway"\?\)/);
    assert.match(terminal.stderr, /2 problems found/);
  });

  test('--json tells the same to a script', async () => {
    const terminal = new RecordingTerminal();
    assert.equal(await runCli(['config', 'check', bad, '--json'], terminal), 2);
    const { valid, problems } = JSON.parse(terminal.stdout);
    assert.equal(valid, false);
    assert.deepEqual(
      problems.map((problem: { key: string; origin: { line: number } }) => [
        problem.key,
        problem.origin.line,
      ]),
      [
        ['secret', 1],
        ['gatewey', 2],
      ],
    );
  });
});

test('stickshift config schema prints a JSON Schema', async () => {
  const terminal = new RecordingTerminal();
  assert.equal(await runCli(['config', 'schema'], terminal), 0);
  assert.equal(JSON.parse(terminal.stdout).title, 'stickshift.yaml');
});

test('stickshift config agent-token prints the token that agents accept', async () => {
  const terminal = new RecordingTerminal({ env: {} });
  assert.equal(await runCli(['config', 'agent-token', '--config', good], terminal), 0);
  assert.equal(terminal.stdout, `${deriveSecrets('x'.repeat(32)).agentToken}\n`);
});
