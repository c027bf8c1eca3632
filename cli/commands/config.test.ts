import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { testCertificate } from '../../gateway/testing/test-certificate.ts';
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

const secret = `secret: ${'x'.repeat(32)}\n`;
const pools =
  'pools: { shop: { session: { cookie: sid }, backends: { a: { url: "http://a", agent: "http://a:9090" } } } }\n';
const good = file('good.yaml', `${secret}store: { url: "redis://user:hunter2@redis:6379" }\n${pools}`);
const bad = file('bad.yaml', 'secret: x\ngatewey: {}\n');

describe('stickshift config check', () => {
  test('sums a good configuration up, without its secrets', async () => {
    const terminal = new RecordingTerminal({ env: { STICKSHIFT_GATEWAY_LISTEN: '127.0.0.1:1' } });
    assert.equal(await runCli(['config', 'check', good], terminal), 0);
    assert.match(terminal.stdout, /good\.yaml is valid\.$/m);
    assert.match(terminal.stdout, /Store +redis:\/\/\*\*\*@redis:6379$/m);
    assert.match(terminal.stdout, /Environment +STICKSHIFT_GATEWAY_LISTEN$/m);
    assert.doesNotMatch(terminal.stdout, /xxx|hunter2/);
    assert.equal(terminal.stderr, '');
  });

  test('shows no password, whatever it is made of and wherever it stands', async () => {
    const urls = {
      'redis://:hunter2/a?b@redis:6379/3': 'redis://***@redis:6379/3',
      'redis+sentinel://u:hunter2@one,two/shop?sentinelPassword=hunter2&db=1':
        'redis+sentinel://***@one,two/shop',
      'sqlite:here@there?.sqlite': 'sqlite:here@there?.sqlite',
    };
    for (const [url, shown] of Object.entries(urls)) {
      const terminal = new RecordingTerminal({ env: {} });
      const path = file('store.yaml', `${secret}store: { url: "${url}" }\n${pools}`);
      assert.equal(await runCli(['config', 'check', path], terminal), 0);
      assert.ok(terminal.stdout.split('\n').includes(`  Store        ${shown}`), terminal.stdout);
      assert.doesNotMatch(terminal.stdout, /hunter2/);
    }
  });

  test('warns of a file without pools, with which no gateway starts, and ends with status 0', async () => {
    const empty = file('empty.yaml', secret);
    const message = 'no pool is configured; a gateway will not start with this file';
    const terminal = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', empty], terminal), 0);
    assert.match(terminal.stderr, new RegExp(`^warning: .*empty\\.yaml:1:1 {2}${message}\n$`));
    assert.match(terminal.stdout, /empty\.yaml is valid\.$/m);

    const script = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', empty, '--json'], script), 0);
    const { valid, warnings } = JSON.parse(script.stdout);
    assert.deepEqual(
      [valid, warnings.map((warning: { message: string }) => warning.message)],
      [true, [message]],
    );
    assert.equal(script.stderr, '');
  });

  test('says by its code that there is no such file', async () => {
    const terminal = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', join(directory, 'missing.yaml')], terminal), 2);
    assert.match(terminal.stderr, /^CONFIG_INVALID: there is no .*missing\.yaml; name the configuration/);
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

describe('stickshift config check of certificates', () => {
  /** A configuration with these, each in a line of its own. */
  function withCertificates(name: string, pairs: readonly (readonly [cert: string, key: string])[]): string {
    const lines = pairs.map(([cert, key]) => `      - { cert: "${cert}", key: "${key}" }\n`);
    return file(name, `${secret}gateway:\n  tls:\n    certificates:\n${lines.join('')}${pools}`);
  }

  function pair(name: string, options: Parameters<typeof testCertificate>[0]): [cert: string, key: string] {
    const { cert, key } = testCertificate(options);
    return [file(`${name}.crt`, cert), file(`${name}.key`, key)];
  }

  test('names each that is good, and says until when', async () => {
    const terminal = new RecordingTerminal({ env: {} });
    const config = withCertificates('tls.yaml', [
      pair('one', { names: ['one.example', '*.one.example'] }),
      pair('two', { names: [] }),
    ]);
    assert.equal(await runCli(['config', 'check', config], terminal), 0);
    assert.match(terminal.stdout, /Certificate +one\.example, \*\.one\.example, until \d{4}-\d\d-\d\d$/m);
    assert.match(terminal.stdout, /Certificate +\/.*two\.crt, until \d{4}-\d\d-\d\d$/m);
    assert.equal(terminal.stderr, '');
  });

  test('tells everything for which a gateway would not start, by line, setting and file, and ends with status 2', async () => {
    const [cert, key] = pair('good', { names: ['good.example'] });
    const [expired, itsKey] = pair('expired', { names: ['old.example'], from: -10, until: -1 });
    const nothing = file('nothing.pem', 'nothing');
    const config = withCertificates('spoilt.yaml', [
      [join(directory, 'missing.crt'), key],
      [nothing, key],
      [cert, nothing],
      [cert, itsKey],
      [expired, itsKey],
      [cert, key],
    ]);
    const terminal = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', config], terminal), 2);
    for (const expected of [
      /spoilt\.yaml:5:\d+ {2}gateway\.tls\.certificates\.0\.cert: there is no .*missing\.crt; give it an absolute path/,
      /spoilt\.yaml:6:\d+ {2}gateway\.tls\.certificates\.1\.cert: .*nothing\.pem is no PEM certificate/,
      /spoilt\.yaml:7:\d+ {2}gateway\.tls\.certificates\.2\.key: .*nothing\.pem is no PEM private key/,
      /spoilt\.yaml:8:\d+ {2}gateway\.tls\.certificates\.3\.key: .*expired\.key does not belong to the first certificate/,
      /spoilt\.yaml:9:\d+ {2}gateway\.tls\.certificates\.4\.cert: .*expired\.crt expired at \d{4}-.*renew it/,
    ])
      assert.match(terminal.stderr, expected);
    assert.match(terminal.stderr, /5 problems found/);
    assert.equal(terminal.stdout, '');
  });

  test('warns of one that expires within 30 days, or is not valid yet, and ends with status 0', async () => {
    const config = withCertificates('soon.yaml', [
      pair('soon', { names: ['soon.example'], until: 29 }),
      pair('later', { names: ['later.example'], until: 31 }),
      pair('future', { names: ['future.example'], from: 1 }),
    ]);
    const terminal = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', config], terminal), 0);
    assert.match(
      terminal.stderr,
      /^warning: .*soon\.yaml:5:\d+ {2}gateway\.tls\.certificates\.0\.cert: .*soon\.crt expires at .*, in 2[89] days$/m,
    );
    assert.match(terminal.stderr, /^warning: .*certificates\.2\.cert: .*future\.crt is not valid before /m);
    assert.equal(terminal.stderr.trim().split('\n').length, 2);

    const script = new RecordingTerminal({ env: {} });
    assert.equal(await runCli(['config', 'check', config, '--json'], script), 0);
    const { valid, warnings } = JSON.parse(script.stdout);
    assert.deepEqual(
      [valid, warnings.map(({ key }: { key: string }) => key)],
      [true, ['gateway.tls.certificates.0.cert', 'gateway.tls.certificates.2.cert']],
    );
    assert.equal(script.stderr, '');
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
