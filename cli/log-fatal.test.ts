import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { deriveSecrets } from '../protocol/secrets.ts';
import { openStore } from '../store/open-store.ts';
import { createLogger } from '../telemetry/logger.ts';
import { logFatal } from './log-fatal.ts';

const directory = mkdtempSync(join(tmpdir(), 'stickshift-fatal-'));
after(() => rmSync(directory, { recursive: true }));

function configFile(name: string, more: object = {}): string {
  const path = join(directory, name);
  const config = {
    secret: 'x'.repeat(32),
    store: { url: `sqlite:${join(directory, 'sessions.sqlite')}` },
    gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' } },
    pools: {
      shop: {
        session: { cookie: 'sid' },
        backends: { 'app-1': { url: 'http://127.0.0.1:9', agent: 'http://127.0.0.1:9' } },
      },
    },
    agents: {
      'app-1': {
        pool: 'shop',
        listen: '127.0.0.1:0',
        source: { type: 'express', listen: join(directory, 'app.sock') },
        journal: { directory: join(directory, 'journal') },
      },
    },
    ...more,
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/** As a process of its own: its log goes to the real standard output. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'main.ts'), ...args],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  );
  const lines = stdout.split('\n').filter((line) => line !== '');
  const log = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const fatal = log.filter(({ level }) => level === 'fatal');
  assert.equal(fatal.length, 1, stdout);
  return { status, stderr, fatal: fatal[0] ?? {} };
}

describe('what keeps a gateway or an agent from starting', () => {
  test('is a line of its log, with a code, and begins with that on standard error', async () => {
    const url = `sqlite:${join(directory, 'ours.sqlite')}`;
    const logger = createLogger({ role: 'gateway', level: 'silent' });
    const { installation } = deriveSecrets('x'.repeat(32));
    // Whoever opens a store first makes it its own.
    await (await openStore({ url, commandTimeout: 1_000, settle: 0 }, { installation, logger })).close();
    const theirs = configFile('theirs.yaml', { secret: 'y'.repeat(32), store: { url } });
    for (const [role, ...args] of [['gateway'], ['agent', 'app-1'], ['agent']]) {
      const { status, stderr, fatal } = run([role ?? '', ...args, '--config', theirs]);
      assert.equal(status, 1);
      assert.match(stderr, /^STORE_FOREIGN: the store .* belongs to another installation: .*\n$/);
      assert.equal(fatal.code, 'STORE_FOREIGN');
      assert.equal(`STORE_FOREIGN: ${fatal.msg}\n`, stderr);
      assert.deepEqual(fatal.err, { code: 'STORE_FOREIGN', message: fatal.msg });
      assert.deepEqual([fatal.role, fatal.name], [role, role === 'agent' ? 'app-1' : undefined]);
    }
  });

  test('says so of a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { status, stderr, fatal } = run([
      'gateway',
      '--config',
      configFile('taken.yaml', {
        store: { url: `sqlite:${join(directory, 'taken.sqlite')}` },
        gateway: { listen, admin: { listen: '127.0.0.1:0' } },
      }),
    ]);
    server.close();
    assert.equal(status, 1);
    assert.match(stderr, /^PORT_IN_USE: .* is in use; set gateway\.listen/);
    assert.equal(fatal.code, 'PORT_IN_USE');
  });

  test('may be the configuration, with status 2, and its problems begin with their place', () => {
    const wrong = configFile('wrong.yaml', { gatewey: {} });
    for (const args of [['gateway'], ['agent', 'app-1']]) {
      const { status, stderr, fatal } = run([...args, '--config', wrong]);
      assert.equal(status, 2);
      assert.match(stderr, /^\S*wrong\.yaml:1:\d+ {2}gatewey: unknown key/);
      assert.equal(fatal.code, 'CONFIG_INVALID');
      assert.match(String(fatal.msg), /gatewey: unknown key/);
      assert.doesNotMatch(JSON.stringify(fatal) + stderr, /x{32}| at /);
    }
  });

  test('may be that there is no configuration, no such agent or no such log level, with status 2', () => {
    const config = configFile('good.yaml');
    for (const [args, expected, env] of [
      [['gateway', '--config', '/nowhere.yaml'], /^CONFIG_INVALID: there is no \/nowhere\.yaml; name/],
      [['agent', '--config', '/nowhere.yaml'], /^CONFIG_INVALID: there is no \/nowhere\.yaml; name/],
      [['agent', 'app-2', '--config', config], /^CONFIG_INVALID: no agent is called "app-2" \(did you mean/],
      [['gateway', '--config', config], /^CONFIG_INVALID: STICKSHIFT_LOG_LEVEL /, 'loud'],
    ] as const) {
      const { status, stderr, fatal } = run(args, env && { STICKSHIFT_LOG_LEVEL: env });
      assert.equal(status, 2);
      assert.match(stderr, expected);
      assert.equal(stderr, `CONFIG_INVALID: ${fatal.msg}\n`);
      assert.equal(fatal.code, 'CONFIG_INVALID');
    }
  });

  test('has its stack in the log alone when nobody has foreseen it', async () => {
    const lines: string[] = [];
    const logger = createLogger({ role: 'gateway', destination: { write: (line) => void lines.push(line) } });
    await assert.rejects(
      logFatal(logger, () => {
        throw new TypeError('nobody has foreseen this');
      }),
      { code: 'INTERNAL', message: 'nobody has foreseen this' },
    );
    const { level, code, err } = JSON.parse(lines.join(''));
    assert.deepEqual([level, code], ['fatal', 'INTERNAL']);
    assert.match(err.stack, /nobody has foreseen this\n +at /);
  });
});
