import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { createExpressSource } from '../../session-agent/sources/express/express-source.ts';
import type { CapturedSession } from '../../session-agent/sources/session-source.ts';
import { RecordingListener } from '../contract/session-source/recording-listener.ts';
import { requirement } from '../services/requirement.ts';
import { Browser } from '../services/small-shop.ts';

const root = join(import.meta.dirname, '..', '..');
const logger = pino({ level: 'silent' });
const directory = await mkdtemp(join(tmpdir(), 'stickshift-client-'));
after(() => rm(directory, { recursive: true, force: true }));
let sockets = 0;

const basketOf = (captured: CapturedSession | undefined) =>
  (JSON.parse(Buffer.from(captured?.data ?? []).toString()) as { basket?: string[] }).basket;

/** Runs the compiled client in an app of its own, with the node given. */
function compiledClient(name: string, node: string, options: { skip: string | false }): void {
  describe(`the compiled client on ${name}`, options, () => {
    const client = join(directory, `client-${name.replaceAll(/\W/g, '-')}`);
    let app: ChildProcess | undefined;
    before(async () => {
      const tsc = join(root, 'node_modules', '.bin', 'tsc');
      const config = join(root, 'session-agent', 'express-client', 'tsconfig.json');
      execFileSync(tsc, ['-p', config, '--outDir', client], { stdio: 'inherit' });
      await writeFile(join(client, 'package.json'), '{"type":"commonjs"}');
    });
    after(() => app?.kill('SIGKILL'));

    test('serves an Express app that requires it', async (t) => {
      const listen = join(directory, `${++sockets}.sock`);
      const source = createExpressSource({ listen, token: 'token', backend: 'app-1', logger });
      const listener = new RecordingListener();
      await source.start(listener);
      t.after(() => source.stop());

      app = spawn(node, [join(import.meta.dirname, 'fixtures', 'express-app.cjs')], {
        env: {
          ...process.env,
          AGENT: listen,
          STICKSHIFT_CLIENT: join(client, 'stickshift-store.js'),
          NODE_PATH: join(root, 'node_modules'),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      assert.ok(app.stdout);
      const [port] = (await once(createInterface(app.stdout), 'line')) as [string];
      await listener.heardTimes('attached', 1);
      const browser = new Browser(() => `http://127.0.0.1:${port}`);
      await browser.post('/cart/tea');
      assert.deepEqual(await browser.post('/cart/cake'), ['tea', 'cake']);
      const id = browser.sessionId;
      assert.deepEqual(basketOf(await source.capture(id)), ['tea', 'cake']);

      // The app is gone in the middle of everything; the last change is not.
      await browser.post('/cart/milk');
      app.kill('SIGKILL');
      await listener.heardTimes('detached', 1);
      assert.deepEqual(basketOf(await source.capture(id)), ['tea', 'cake', 'milk']);
    });

    test('can be imported by name from an ES module', () => {
      const url = JSON.stringify(join(client, 'stickshift-store.js'));
      const script = `import { StickshiftStore } from ${url}; console.log(typeof StickshiftStore.prototype.touch);`;
      const out = execFileSync(node, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
      assert.equal(out.trim(), 'function');
    });
  });
}

const node18 = process.env.STICKSHIFT_TEST_NODE18 ?? '';
compiledClient('this node', process.execPath, { skip: false });
compiledClient(
  'Node 18',
  node18,
  requirement(
    'Node 18',
    node18 !== '' && existsSync(node18),
    'set STICKSHIFT_TEST_NODE18 to the path of its binary',
  ),
);
