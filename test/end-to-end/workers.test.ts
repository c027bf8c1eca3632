import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../config/schema.ts';
import { findPorts } from '../../demo/ports.ts';
import { eventually } from '../services/eventually.ts';
import { FakeAgent } from '../services/fake-agent.ts';

interface LogLine {
  readonly msg: string;
  readonly worker?: number;
  readonly workers?: number;
}

const PROGRAM = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

/** A gateway's process before one app server, which answers when a test lets it. */
async function startProcess(t: TestContext, workers: number) {
  const arrived = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const app = createServer(async (request, response) => {
    if (request.url === '/slow') {
      arrived.resolve();
      await held.promise;
    }
    response.end('hello');
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const agent = await FakeAgent.start({ backend: 'app-1', application: 'app' });
  t.after(() => agent.stop());
  const directory = await mkdtemp(join(tmpdir(), 'stickshift-workers-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [port = 0, adminPort = 0] = await findPorts(2);
  const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  const config: ConfigInput = {
    secret: 'a secret of the tests, long enough to be one',
    store: { url: `sqlite:${join(directory, 'sessions.sqlite')}` },
    gateway: { listen: `127.0.0.1:${port}`, admin: { listen: `127.0.0.1:${adminPort}` }, workers },
    pools: { app: { session: { cookie: 'sid' }, backends: { 'app-1': { url, agent: agent.url } } } },
  };
  const file = join(directory, 'stickshift.yaml');
  await writeFile(file, stringify(config));
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, 'gateway', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout);
  const log = text(child.stdout);
  await eventually('the gateway is ready', () =>
    fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    url: `http://127.0.0.1:${port}`,
    arrived: arrived.promise,
    letGo: held.resolve,
    /** Asks it to stop, and resolves when it has. */
    async stop() {
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      const lines = (await log).trim().split('\n');
      return { code, lines: lines.map((line) => JSON.parse(line) as LogLine) };
    },
  };
}

test('a gateway’s process with two workers stops gently, and says in its log which of them says what', async (t) => {
  const gateway = await startProcess(t, 2);
  for (let i = 0; i < 10; i++) {
    const answer = await fetch(gateway.url, { headers: { connection: 'close' } });
    assert.deepEqual([answer.status, await answer.text()], [200, 'hello']);
  }
  const slow = fetch(`${gateway.url}/slow`, { headers: { connection: 'close' } });
  await gateway.arrived;
  const stopped = gateway.stop();
  await eventually('it takes nobody any more', () =>
    fetch(gateway.url, { headers: { connection: 'close' } }).then(
      () => false,
      () => true,
    ),
  );
  gateway.letGo();
  assert.equal(await (await slow).text(), 'hello');
  const { code, lines } = await stopped;
  assert.equal(code, 0);
  const leases = lines.filter(({ msg }) => msg === 'lease holds');
  assert.deepEqual(leases.map(({ worker }) => worker).sort(), [1, 2], 'each holds a lease of its own');
  assert.equal(lines.find(({ msg }) => msg === 'gateway is up')?.workers, 2);
  assert.equal(lines.at(-1)?.msg, 'gateway has stopped');
});

test('a gateway’s process with one worker says nothing of workers', async (t) => {
  const gateway = await startProcess(t, 1);
  assert.equal((await fetch(gateway.url, { headers: { connection: 'close' } })).status, 200);
  const { code, lines } = await gateway.stop();
  assert.equal(code, 0);
  assert.ok(lines.some(({ msg }) => msg === 'gateway is up'));
  assert.deepEqual(
    lines.filter((line) => 'worker' in line || 'workers' in line),
    [],
  );
});
