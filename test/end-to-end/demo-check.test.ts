import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { after, describe, test } from 'node:test';
import type { CheckReport } from '../../demo/check/report.ts';
import { isAlive } from '../../demo/process-alive.ts';
import { eventually } from '../services/eventually.ts';
import { redisRequirement, startRedis } from '../services/redis.ts';
import { StickshiftCommand } from './demo-process.ts';

const ANY_PORT = ['--port', '0', '--admin-port', '0'];

async function check(env: Record<string, string>): Promise<void> {
  const demo = await StickshiftCommand.start(['demo', '--check', ...ANY_PORT], env);
  const { status, stdout, stderr } = await demo.ended;
  await demo.dispose();
  const output = `${stdout}\n${stderr}`;
  const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as CheckReport;
  assert.deepEqual(report.problems, [], output);
  assert.equal(status, 0, output);
  assert.equal(report.sessions, 60);
  assert.equal(report.kept, 60);
  assert.equal(report.lost, 0);
  assert.equal(typeof report.errors5xx, 'number');
  assert.ok(report.items.acknowledged >= 180, 'every cart was filled');
  assert.ok(report.takeoverMs.sessions > 0, 'the killed server held carts');
  assert.ok(report.takeoverMs.max >= report.takeoverMs.p50 && report.takeoverMs.p50 > 0);
  assert.ok(report.drainMs.sessions > 0, 'the drained server held carts');
  assert.notEqual(report.killed, report.drained);
  assert.ok(report.newcomers.onReturnedServer > 0, 'the killed server takes load again');
}

describe('the demo’s check: a server and its agent are killed, another is drained, no cart is lost', async () => {
  // Set to nothing is not set: shells and compose files often leave it so.
  test('on SQLite', () => check({ STICKSHIFT_STORE: '' }));

  const redis = await startRedis();
  after(() => redis?.stop());
  test('on Redis', redisRequirement(redis), () => check({ STICKSHIFT_STORE: redis?.url ?? '' }));
});

describe('the demo as a process', () => {
  test('ends everything it started at Ctrl-C, and says so by exit status 0', async () => {
    const demo = await StickshiftCommand.start(['demo', '--json', ...ANY_PORT]);
    const { gatewayUrl, processes, stateDirectory } = await demo.firstLine();
    assert.deepEqual(Object.keys(processes).toSorted(), [
      'app-1',
      'app-1 agent',
      'app-2',
      'app-2 agent',
      'app-3',
      'app-3 agent',
      'gateway',
    ]);
    assert.equal((await fetch(`${gatewayUrl}/api/cart`)).status, 200);
    demo.child.kill('SIGINT');
    assert.equal((await demo.ended).status, 0);
    assert.deepEqual(stillAlive(processes), []);
    assert.equal(existsSync(stateDirectory), false);
    await demo.dispose();
  });

  test('takes everything along even when it is killed itself', async () => {
    const demo = await StickshiftCommand.start(['demo', '--json', ...ANY_PORT]);
    const { processes, stateDirectory } = await demo.firstLine();
    demo.child.kill('SIGKILL');
    await demo.ended;
    await eventually('its processes are gone', () => stillAlive(processes).length === 0);
    await rm(stateDirectory, { recursive: true });
    await demo.dispose();
  });

  test('kills and restarts a server on request from another terminal', async () => {
    const demo = await StickshiftCommand.start(['demo', '--json', ...ANY_PORT]);
    const { processes } = await demo.firstLine();
    const killed = await demo.alongside('demo', 'kill', 'app-2');
    assert.equal(killed.status, 0, killed.stderr);
    assert.equal(isAlive(processes['app-2'] ?? 0), false);
    assert.equal(isAlive(processes['app-2 agent'] ?? 0), false);
    assert.equal(isAlive(processes['app-1'] ?? 0), true);
    const restarted = await demo.alongside('demo', 'restart', 'app-2');
    assert.equal(restarted.status, 0, restarted.stderr);

    const unknown = await demo.alongside('demo', 'kill', 'app-9');
    assert.notEqual(unknown.status, 0);
    assert.match(unknown.stderr, /no server app-9; it has app-1, app-2, app-3/);
    await demo.dispose();
  });

  test('says that no demo runs when there is none to kill in', async () => {
    const command = await StickshiftCommand.start(['demo', 'kill', 'app-1']);
    const { status, stderr } = await command.ended;
    assert.notEqual(status, 0);
    assert.match(stderr, /no demo was started in/);
    await command.dispose();
  });

  for (const [option, args] of [
    ['--port', (port: number) => ['--port', String(port), '--admin-port', '0']],
    ['--admin-port', (port: number) => ['--port', '0', '--admin-port', String(port)]],
  ] as const) {
    test(`says that ${option} chooses another when its port is busy`, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const demo = await StickshiftCommand.start(['demo', ...args(port)]);
      const { status, stderr } = await demo.ended;
      server.close();
      assert.notEqual(status, 0);
      assert.match(stderr, new RegExp(`port ${port} is in use; choose another with ${option} <port>`));
      await demo.dispose();
    });
  }

  test('refuses an impossible number of backends by its option’s name', async () => {
    const demo = await StickshiftCommand.start(['demo', '--backends', '0', ...ANY_PORT]);
    const { status, stderr } = await demo.ended;
    assert.notEqual(status, 0);
    assert.match(stderr, /--backends/);
    await demo.dispose();
  });
});

function stillAlive(processes: Record<string, number>): string[] {
  return Object.entries(processes)
    .filter(([, pid]) => isAlive(pid))
    .map(([name]) => name);
}
