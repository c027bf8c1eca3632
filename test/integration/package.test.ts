import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');

interface PackageJson {
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The package as npm would publish it, installed into an app of its own with the dependencies that it declares, no others. */
describe('the published package', () => {
  let app: string;
  const installed = () => join(app, 'node_modules', 'stickshift');

  before(() => {
    app = mkdtempSync(join(tmpdir(), 'stickshift-package-'));
    // `prepack` builds, and says so on standard output before npm does.
    execFileSync('npm', ['pack', '--silent', '--pack-destination', app], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    mkdirSync(installed(), { recursive: true });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    execFileSync('tar', [
      '-xzf',
      join(app, `stickshift-${version}.tgz`),
      '-C',
      installed(),
      '--strip-components=1',
    ]);
    const { dependencies } = JSON.parse(
      readFileSync(join(installed(), 'package.json'), 'utf8'),
    ) as PackageJson;
    for (const name of Object.keys(dependencies)) {
      const link = join(app, 'node_modules', name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), link);
    }
  });
  after(() => rmSync(app, { recursive: true, force: true }));

  /** Runs the installed command line in the app's directory. */
  function stickshift(...args: string[]) {
    return spawnSync(process.execPath, [join(installed(), 'bin', 'stickshift.js'), ...args], {
      cwd: app,
      encoding: 'utf8',
    });
  }

  test('holds no sources, no tests and no demo', () => {
    const files = execFileSync('find', [installed(), '-type', 'f'], { encoding: 'utf8' }).trim().split('\n');
    const unwanted = files.filter((file) =>
      /(?<!\.d)\.ts$|\.test\.|\/(demo|test|testing|bench)\//.test(file),
    );
    assert.deepEqual(unwanted, []);
    assert.ok(
      files.some((file) => file.endsWith('.lua')),
      'the Redis scripts are missing',
    );
  });

  test('shows its commands', () => {
    const { status, stdout } = stickshift('--help');
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}gateway /m);
  });

  test('says that the demo is elsewhere', () => {
    const { status, stderr } = stickshift('demo');
    assert.equal(status, 1);
    assert.match(stderr, /not part of this installation/);
  });

  test('runs a gateway and an agent, each from the dependencies that it declares', async () => {
    writeFileSync(
      join(app, 'stickshift.yaml'),
      JSON.stringify({
        secret: 'a secret of the tests, long enough to be one',
        // Two, because a worker’s program is found by its name only.
        gateway: { listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' }, workers: 2 },
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
            source: { type: 'express', listen: join(app, 'app.sock') },
          },
        },
      }),
    );
    assert.equal(await runsAndStops(['gateway'], /gateway is up/), 0);
    assert.equal(await runsAndStops(['agent'], /session agent started/), 0);
  });

  /** Starts a service, stops it when it has logged that it is there, and resolves with its exit status. */
  async function runsAndStops(args: string[], started: RegExp): Promise<number | null> {
    const child = spawn(process.execPath, [join(installed(), 'bin', 'stickshift.js'), ...args], {
      cwd: app,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    for await (const line of createInterface({ input: child.stdout })) {
      if (started.test(line)) child.kill('SIGTERM');
    }
    return exited;
  }

  test('gives an Express app its session store, by require and by import', () => {
    const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: app, encoding: 'utf8' });
    const required = run('-p', 'typeof require("stickshift/express").StickshiftStore');
    assert.equal(required.stdout.trim(), 'function', required.stderr);
    const script =
      'import { StickshiftStore } from "stickshift/express"; console.log(typeof StickshiftStore)';
    const imported = run('--input-type=module', '--eval', script);
    assert.equal(imported.stdout.trim(), 'function', imported.stderr);
  });
});
