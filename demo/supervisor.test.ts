import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimPort, findPorts } from './ports.ts';
import { isAlive } from './process-alive.ts';
import { type ProcessPlan, Supervisor } from './supervisor.ts';

const SERVER = `
  const { createServer } = require('node:http');
  createServer((request, response) => response.end('ok')).listen(Number(process.env.PORT), '127.0.0.1');
  if (process.env.STUBBORN) process.on('SIGTERM', () => {});
`;

describe('the supervisor', () => {
  let directory: string;
  const exits: string[] = [];
  const newSupervisor = () =>
    new Supervisor({
      logDirectory: directory,
      onUnexpectedExit: (name, how) => exits.push(`${name} ${how}`),
    });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stickshift-supervisor-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  async function serverPlan(name: string, env: Record<string, string> = {}): Promise<ProcessPlan> {
    const [port] = await findPorts(1);
    return {
      name,
      args: ['-e', SERVER],
      env: { PORT: String(port), ...env },
      readyUrl: `http://127.0.0.1:${port}/`,
    };
  }

  test('starts a process and has it answering when start resolves', async () => {
    const supervisor = newSupervisor();
    const plan = await serverPlan('ready');
    await supervisor.start(plan);
    assert.equal((await fetch(plan.readyUrl)).status, 200);
    assert.equal(supervisor.state('ready'), 'running');
    await supervisor.stop();
    assert.equal(supervisor.state('ready'), 'stopped');
  });

  test('tells why a process did not start, with the end of its log', async () => {
    const supervisor = newSupervisor();
    await assert.rejects(
      supervisor.start({
        name: 'broken',
        args: ['-e', 'console.error("no such disk"); process.exit(3)'],
        env: {},
        readyUrl: 'http://127.0.0.1:9/',
      }),
      /broken did not start: it exited with code 3\. Its log ends:\n {2}no such disk/,
    );
    await supervisor.stop();
  });

  test('kills a process for real, leaves it dead, and starts it again on the same port', async () => {
    const supervisor = newSupervisor();
    const plan = await serverPlan('victim');
    await supervisor.start(plan);
    const pid = supervisor.pids().victim ?? 0;
    await supervisor.kill('victim');
    assert.equal(isAlive(pid), false);
    assert.equal(supervisor.state('victim'), 'stopped');
    await supervisor.start(plan);
    assert.notEqual(supervisor.pids().victim, pid);
    await supervisor.stop();
    assert.deepEqual(exits, []);
  });

  test('reports a process that ends by itself', async () => {
    const supervisor = newSupervisor();
    await supervisor.start(await serverPlan('mortal'));
    process.kill(supervisor.pids().mortal ?? 0, 'SIGKILL');
    while (exits.length === 0) await sleep(10);
    assert.deepEqual(exits.splice(0), ['mortal was ended by SIGKILL']);
    await supervisor.stop();
  });

  test('stops even a process that ignores SIGTERM', async () => {
    const supervisor = newSupervisor();
    await supervisor.start(await serverPlan('stubborn', { STUBBORN: '1' }));
    const pid = supervisor.pids().stubborn ?? 0;
    await supervisor.stop();
    assert.equal(isAlive(pid), false);
  });

  test('does not hand the settings of another Stickshift to its processes', async () => {
    process.env.STICKSHIFT_STORE = 'redis://elsewhere';
    const supervisor = newSupervisor();
    const plan = await serverPlan('env');
    await supervisor.start({ ...plan, args: ['-e', `console.log(process.env.STICKSHIFT_STORE);${SERVER}`] });
    await supervisor.stop();
    delete process.env.STICKSHIFT_STORE;
    assert.equal(await readFile(join(directory, 'env.log'), 'utf8'), 'undefined\n');
  });

  for (const [manner, leave] of [
    ['is killed itself', (child: ChildProcess) => child.kill('SIGKILL')],
    ['exits without having stopped them', (child: ChildProcess) => child.send('exit')],
    ['dies of an uncaught error', (child: ChildProcess) => child.send('throw')],
  ] as const) {
    test(`leaves no process behind when it ${manner}`, async () => {
      const plan = await serverPlan('orphan');
      const script = join(directory, 'supervise.ts');
      await writeFile(
        script,
        `import { Supervisor } from ${JSON.stringify(join(import.meta.dirname, 'supervisor.ts'))};
        const supervisor = new Supervisor({ logDirectory: ${JSON.stringify(directory)}, onUnexpectedExit() {} });
        process.on('message', (what) => {
          if (what === 'exit') process.exit(0);
          throw new Error('uncaught');
        });
        await supervisor.start(${JSON.stringify(plan)});
        process.send(supervisor.pids());`,
      );
      const child = fork(script, { stdio: 'ignore' });
      const [pids] = (await once(child, 'message')) as [Record<string, number>];
      assert.equal(isAlive(pids.orphan ?? 0), true);
      leave(child);
      await once(child, 'exit');
      while (isAlive(pids.orphan ?? 0)) await sleep(10);
    });
  }
});

describe('ports', () => {
  test('a busy port is an error that names the option to change it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await assert.rejects(claimPort(port, '--admin-port'), {
      code: 'PORT_IN_USE',
      message: `port ${port} is in use; choose another with --admin-port <port>`,
    });
    server.close();
  });

  test('ports are found free and different', async () => {
    const ports = await findPorts(20);
    assert.equal(new Set(ports).size, 20);
  });
});
