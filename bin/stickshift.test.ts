import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, type TestContext, test } from 'node:test';

const directory = mkdtempSync(join(tmpdir(), 'stickshift-bin-'));
after(() => rmSync(directory, { recursive: true }));
let installations = 0;

/** Does what its first argument names, and says what it got: last, when a signal would find its handler. */
const PROGRAM = `
const [deed] = process.argv.slice(2);
if (deed === 'fail') process.exitCode = 3;
if (deed === 'wait') {
  setInterval(() => {}, 1000);
  process.on('SIGTERM', () => process.exit(7));
}
console.log(JSON.stringify({ args: process.argv.slice(2), version: process.versions.node, file: import.meta.filename }));
if (deed === 'die') process.kill(process.pid, 'SIGKILL');
`;

interface Layout {
  readonly sources?: boolean;
  readonly built?: boolean;
  readonly ownNode?: boolean;
}

/** An installation of nothing but the launcher and a program. */
function install({ sources, built, ownNode }: Layout): string {
  const root = join(directory, `${++installations}`);
  for (const folder of ['bin', 'cli', 'dist/cli', 'node_modules/node/bin']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  copyFileSync(join(import.meta.dirname, 'stickshift.js'), join(root, 'bin/stickshift.js'));
  // A type annotation, so that it is TypeScript in earnest.
  if (sources) writeFileSync(join(root, 'cli/main.ts'), `const isTypeScript: boolean = true;${PROGRAM}`);
  if (built) writeFileSync(join(root, 'dist/cli/main.js'), PROGRAM);
  if (ownNode) symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'));
  return join(root, 'bin/stickshift.js');
}

/** Has this Node say that it is an old one. */
const OLD_NODE = [
  '--import',
  'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.11.0"}})',
];

function start(t: TestContext, node: readonly string[], ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [...node, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function run(t: TestContext, node: readonly string[], ...args: string[]) {
  const child = start(t, node, ...args);
  const exited = once(child, 'exit');
  assert.ok(child.stdout && child.stderr);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await exited;
  return { code, signal, stderr, said: stdout === '' ? undefined : JSON.parse(stdout) };
}

describe('the launcher on a Node that is new enough', () => {
  test('runs the sources of a checkout', async (t) => {
    const { code, said } = await run(t, [], install({ sources: true, built: true }), 'status', '--json');
    assert.equal(code, 0);
    assert.match(said.file, /cli\/main\.ts$/);
    assert.deepEqual(said.args, ['status', '--json']);
  });

  test('runs what was built in a package', async (t) => {
    const { code, said } = await run(t, [], install({ built: true }), 'fail');
    assert.equal(code, 3);
    assert.match(said.file, /dist\/cli\/main\.js$/);
  });

  test('says what is missing from an incomplete installation', async (t) => {
    const { code, stderr } = await run(t, [], install({}));
    assert.equal(code, 2);
    assert.match(stderr, /^stickshift: this installation is incomplete: .*npm run build/);
  });
});

describe('the launcher on an old Node', () => {
  test('runs a checkout with the Node that the checkout brings', async (t) => {
    const { code, said } = await run(t, OLD_NODE, install({ sources: true, ownNode: true }), 'fail', 'a b');
    assert.equal(code, 3);
    assert.equal(said.version, process.versions.node);
    assert.deepEqual(said.args, ['fail', 'a b']);
  });

  test('passes SIGTERM on, and waits for what comes of it', async (t) => {
    const child = start(t, OLD_NODE, install({ sources: true, ownNode: true }), 'wait');
    assert.ok(child.stdout);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [7, null]);
  });

  test('ends as its child ended', async (t) => {
    const { code, signal } = await run(t, OLD_NODE, install({ sources: true, ownNode: true }), 'die');
    assert.deepEqual([code, signal], [null, 'SIGKILL']);
  });

  test('says how to get a new one', async (t) => {
    const checkout = await run(t, OLD_NODE, install({ sources: true }));
    assert.equal(checkout.code, 2);
    assert.match(
      checkout.stderr,
      /^stickshift: this is Node 20\.11\.0; .*Node 24 or newer\. Run "npm ci" first/,
    );
    const installed = await run(t, OLD_NODE, install({ built: true }));
    assert.equal(installed.code, 2);
    assert.match(installed.stderr, /stickshift\/express, runs on this one/);
  });
});
